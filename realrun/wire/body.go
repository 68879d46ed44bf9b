package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// defaultBody is the template of http-json.
const defaultBody = `{"id": {{id}}, "input": {{input}}, "output": {{output}}}`

// body appends the request's body; the call is within its limits.
type body func(b []byte, c *Call, model string) []byte

// newBody returns how a target's bodies are written.
func newBody(t *Target) (body, error) {
	switch {
	case t.Transport == OpenAIChat || t.Transport == OpenAICompletions:
		if t.Body != "" {
			return nil, fmt.Errorf("body is only for the transports %s and %s", HTTPJSON, KServe)
		}
		return openAIBody(t.Transport == OpenAIChat, t.Engine == EngineVLLM), nil
	case t.Body != "":
		return templateBody(t.Body)
	case t.Transport == KServe:
		return kserveBody, nil
	}
	return templateBody(defaultBody)
}

// templateBody splits a template once. Tenants are written as the inside of a JSON
// string.
func templateBody(text string) (body, error) {
	type part func(b []byte, c *Call) []byte
	var parts []part
	literal := func(s string) { parts = append(parts, func(b []byte, _ *Call) []byte { return append(b, s...) }) }
	for {
		head, rest, ok := strings.Cut(text, "{{")
		literal(head)
		if !ok {
			break
		}
		name, tail, ok := strings.Cut(rest, "}}")
		if !ok {
			return nil, fmt.Errorf("body: {{ without }} before %q", clip(rest, 20))
		}
		switch strings.TrimSpace(name) {
		case "id":
			parts = append(parts, func(b []byte, c *Call) []byte { return strconv.AppendUint(b, c.ID, 10) })
		case "input":
			parts = append(parts, func(b []byte, c *Call) []byte { return strconv.AppendUint(b, uint64(c.Input), 10) })
		case "output":
			parts = append(parts, func(b []byte, c *Call) []byte { return strconv.AppendUint(b, uint64(c.Output), 10) })
		case "tenant":
			parts = append(parts, func(b []byte, c *Call) []byte {
				q := appendJSONString(nil, c.Tenant)
				return append(b, q[1:len(q)-1]...)
			})
		default:
			return nil, fmt.Errorf("body: unknown {{%s}}: one of {{id}}, {{input}}, {{output}}, {{tenant}}", clip(name, 20))
		}
		text = tail
	}
	return func(b []byte, c *Call, _ string) []byte {
		for _, p := range parts {
			b = p(b, c)
		}
		return b
	}, nil
}

// openAIBody writes a streamed request. Without ignore_eos a model may answer with
// fewer tokens than asked for.
func openAIBody(chat, ignoreEOS bool) body {
	return func(b []byte, c *Call, model string) []byte {
		b = append(b, '{')
		if model != "" {
			b = append(b, `"model":`...)
			b = appendJSONString(b, model)
			b = append(b, ',')
		}
		if chat {
			b = append(b, `"messages":[{"role":"user","content":"`...)
			b = appendPrompt(b, c.ID, c.Input)
			b = append(b, `"}]`...)
		} else {
			b = append(b, `"prompt":"`...)
			b = appendPrompt(b, c.ID, c.Input)
			b = append(b, '"')
		}
		b = append(b, `,"stream":true,"stream_options":{"include_usage":true},"max_tokens":`...)
		b = strconv.AppendUint(b, uint64(max(1, c.Output)), 10)
		if ignoreEOS {
			b = append(b, `,"ignore_eos":true`...)
		}
		return append(b, '}')
	}
}

// kserveBody writes the two inputs that the text models of Triton's vLLM backend
// take; other models need a template.
func kserveBody(b []byte, c *Call, _ string) []byte {
	b = append(b, `{"id":"`...)
	b = strconv.AppendUint(b, c.ID, 10)
	b = append(b, `","inputs":[{"name":"text_input","shape":[1],"datatype":"BYTES","data":["`...)
	b = appendPrompt(b, c.ID, c.Input)
	b = append(b, `"]},{"name":"max_tokens","shape":[1],"datatype":"INT32","data":[`...)
	b = strconv.AppendUint(b, uint64(max(1, c.Output)), 10)
	return append(b, `]}]}`...)
}

func appendJSONString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		panic("wire: a string has no JSON: " + err.Error()) // cannot be
	}
	return append(b, q...)
}

// clip cuts a text to n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
