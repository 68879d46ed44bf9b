package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// defaultOutput is the tokens of an answer whose length nobody said: the default of
// the completions interface.
const defaultOutput = 16

// body is what the replica reads of an OpenAI request; the rest is ignored.
type body struct {
	Model     string          `json:"model"`
	Prompt    json.RawMessage `json:"prompt"`
	Messages  []turn          `json:"messages"`
	MaxTokens *int64          `json:"max_tokens"`
	MaxNew    *int64          `json:"max_completion_tokens"`
	Stream    bool            `json:"stream"`
	Options   struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type turn struct {
	Content json.RawMessage `json:"content"`
}

func chat() api        { return openAI(true) }
func completions() api { return openAI(false) }

// openAI is the interface of chat completions, or of plain ones.
func openAI(chat bool) api {
	x := api{
		read: func(_ *http.Request, data []byte) (ask, error) { return readOpenAI(data, chat) },
		whole: func(a *ask, _ *call) any {
			return a.frame(chat, words(int(max(1, a.output))), "stop", true, chat)
		},
		chunk: func(a *ask, n int, end bool) any {
			if end {
				return a.frame(chat, "", "stop", false, false)
			}
			return a.frame(chat, words(n), "", false, false)
		},
	}
	if chat {
		x.role = func(a *ask) any {
			return map[string]any{"id": a.id, "object": "chat.completion.chunk", "created": 0, "model": a.model,
				"choices": []any{map[string]any{"index": 0, "delta": map[string]any{"role": "assistant", "content": ""}, "finish_reason": nil}}}
		}
	}
	return x
}

func readOpenAI(data []byte, chat bool) (ask, error) {
	var b body
	if err := json.Unmarshal(data, &b); err != nil {
		return ask{}, fmt.Errorf("the body cannot be read: %w", err)
	}
	a := ask{model: b.Model, stream: b.Stream, usage: b.Options.Usage, output: defaultOutput, id: "cmpl-emulated"}
	if chat {
		a.id = "chatcmpl-emulated"
		if len(b.Messages) == 0 {
			return a, errors.New("messages is empty: a chat needs at least one")
		}
		for _, m := range b.Messages {
			a.input += countWords(m.Content)
		}
	} else {
		if len(b.Prompt) == 0 {
			return a, errors.New("prompt is missing")
		}
		a.input = countWords(b.Prompt)
	}
	for _, most := range []*int64{b.MaxTokens, b.MaxNew} {
		if most == nil {
			continue
		}
		if *most < 1 || *most > 1<<30 {
			return a, fmt.Errorf("max_tokens is %d: it must lie in [1, 2³⁰]", *most)
		}
		a.output = uint32(*most)
	}
	return a, nil
}

// countWords counts the words of a text, of a list of texts or of parts with a
// text, and the numbers of a list of tokens: words stand for tokens.
func countWords(raw json.RawMessage) uint32 {
	var v any
	if json.Unmarshal(raw, &v) != nil { // it was read once: it is JSON
		return 0
	}
	return uint32(min(wordsIn(v), 1<<30))
}

func wordsIn(v any) int {
	switch x := v.(type) {
	case string:
		return len(strings.Fields(x))
	case float64:
		return 1
	case []any:
		n := 0
		for _, e := range x {
			n += wordsIn(e)
		}
		return n
	case map[string]any:
		return wordsIn(x["text"])
	}
	return 0
}

// words is filler of n tokens.
func words(n int) string { return strings.Repeat("token ", max(0, n)) }

// frame is one object of the interface: a whole answer, or a chunk of a stream.
func (a *ask) frame(chat bool, text, finish string, whole, message bool) map[string]any {
	choice := map[string]any{"index": 0, "finish_reason": nil}
	if finish != "" {
		choice["finish_reason"] = finish
	}
	object := "text_completion"
	switch {
	case !chat:
		choice["text"] = text
	case message:
		choice["message"] = map[string]any{"role": "assistant", "content": text}
		object = "chat.completion"
	default:
		delta := map[string]any{}
		if text != "" {
			delta["content"] = text
		}
		choice["delta"] = delta
		object = "chat.completion.chunk"
	}
	out := map[string]any{"id": a.id, "object": object, "created": 0, "model": a.model, "choices": []any{choice}}
	if whole {
		out["usage"] = a.spent()
	}
	return out
}

// spent is the usage that closes an answer.
func (a *ask) spent() map[string]any {
	in, out := a.input, max(1, a.output)
	return map[string]any{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out}
}
