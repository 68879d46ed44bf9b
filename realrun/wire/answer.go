package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"taillab/policies"
)

const (
	maxAnswer  = 1 << 20 // bytes of a JSON answer that are checked; a longer one is only read
	maxRefusal = 4 << 10 // bytes of a failing answer that are looked at
	lingerTime = 100 * time.Millisecond
)

// answer reads the body of a good answer into a result.
type answer struct {
	c      *Client
	w      *watch
	b      *buffers
	res    *Result
	major  int // of HTTP
	finish bool
	usage  bool
}

// chunk is what is read of an event of an OpenAI stream, and of an answer in one
// piece (OpenAI API reference: chat completion object and chunk, completion object;
// reasoning_content is that of vLLM and others).
type chunk struct {
	Choices []struct {
		Delta, Message struct {
			Content          *string           `json:"content"`
			ReasoningContent *string           `json:"reasoning_content"`
			ToolCalls        []json.RawMessage `json:"tool_calls"`
		}
		Text         *string `json:"text"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     *int `json:"prompt_tokens"`
		Completion *int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

func (a *answer) read(kind string, resp *http.Response, body io.Reader) {
	isJSON := strings.Contains(resp.Header.Get("Content-Type"), "json")
	switch {
	case kind == KServe || kind == HTTPJSON:
		a.whole(body, kind == KServe || isJSON, nil)
	case isJSON: // asked for a stream, got one piece
		var ch chunk
		a.whole(body, true, &ch)
		if a.res.Outcome == policies.OK {
			a.piece(&ch)
		}
	default:
		a.stream(body)
		a.count()
	}
	if a.res.Done < 0 {
		a.res.Done = a.c.now()
	}
}

// fail ends the answer by a class of ours.
func (a *answer) fail(o policies.Outcome, detail string) {
	a.res.Outcome, a.res.Detail, a.res.Done = o, a.c.detail(detail), a.c.now()
}

// broken ends the answer by an error of the connection.
func (a *answer) broken(err error) { a.fail(a.w.classify(err, true, a.major), err.Error()) }

// whole reads an answer in one piece, as JSON if check is set; into out unless nil.
func (a *answer) whole(body io.Reader, check bool, out any) {
	buf := &a.b.answer
	buf.Reset()
	size := 0
	for {
		n, err := body.Read(a.b.read)
		size += n
		if check && size <= maxAnswer {
			buf.Write(a.b.read[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			a.broken(err)
			return
		}
	}
	a.res.Done = a.c.now()
	if !check || size == 0 && out == nil || size > maxAnswer && out == nil {
		return
	}
	var err error
	if out != nil {
		err = json.Unmarshal(buf.Bytes(), out)
	} else if !json.Valid(buf.Bytes()) {
		err = errors.New("no JSON")
	}
	if err != nil {
		a.fail(policies.Malformed, "the answer cannot be read: "+err.Error())
	}
}

// piece takes an answer that was not streamed: all its tokens come with the last byte.
func (a *answer) piece(ch *chunk) {
	at := a.res.Done
	a.take(ch)
	a.count()
	switch {
	case a.res.Outcome != policies.OK:
	case len(ch.Choices) == 0:
		a.fail(policies.Malformed, "the answer has no choices")
	case a.res.Chunks > 0:
		a.res.FirstToken, a.res.LastToken = at, at
	}
}

// stream reads server-sent events until [DONE], or until the end if a finish_reason
// came.
func (a *answer) stream(body io.Reader) {
	ev := &a.b.ev
	ev.reset(body, a.b.read)
	for {
		data, err := ev.next()
		switch {
		case err == io.EOF:
			a.end(ev)
			return
		case errors.Is(err, errLongEvent):
			a.fail(policies.Malformed, err.Error())
			return
		case err != nil:
			a.broken(err)
			return
		}
		if string(bytes.TrimSpace(data)) == "[DONE]" {
			a.res.Done = a.c.now()
			a.w.linger(body, a.b.read, lingerTime)
			return
		}
		var ch chunk
		if err := json.Unmarshal(data, &ch); err != nil {
			if ev.cut {
				a.end(ev)
			} else {
				a.fail(policies.Malformed, "an event of the stream cannot be read: "+err.Error())
			}
			return
		}
		if a.take(&ch); a.res.Outcome != policies.OK {
			return
		}
	}
}

// end judges a stream that ended without [DONE].
func (a *answer) end(ev *events) {
	switch {
	case a.finish:
		a.res.Done = a.c.now()
	case ev.junk && !ev.some:
		a.fail(policies.Malformed, "the answer is no stream of events")
	default:
		a.fail(policies.ShortRead, "the stream ends without [DONE] or a finish_reason")
	}
}

// take notes what an event carries.
func (a *answer) take(ch *chunk) {
	if o, text := ch.fault(); o != policies.OK {
		a.fail(o, text)
		return
	}
	text := false
	for i := range ch.Choices {
		c := &ch.Choices[i]
		text = text || some(c.Text) || some(c.Delta.Content) || some(c.Delta.ReasoningContent) || len(c.Delta.ToolCalls) > 0 ||
			some(c.Message.Content) || some(c.Message.ReasoningContent) || len(c.Message.ToolCalls) > 0
		a.finish = a.finish || some(c.FinishReason)
	}
	if text {
		at := a.c.now()
		if a.res.Chunks == 0 {
			a.res.FirstToken = at
		}
		a.res.LastToken = at
		a.res.Chunks++
	}
	if u := ch.Usage; u != nil {
		if u.Completion != nil && *u.Completion >= 0 {
			a.res.Tokens, a.usage = *u.Completion, true
		}
		if u.Prompt != nil {
			a.res.Prompt = max(0, *u.Prompt)
		}
	}
}

func some(s *string) bool { return s != nil && *s != "" }

// count settles the tokens: a chunk is not a token, but without usage it is all
// there is to count.
func (a *answer) count() {
	if !a.usage {
		a.res.Tokens, a.res.Estimated = a.res.Chunks, true
	}
}

// fault reads an error that came inside a good answer. Its code counts as the
// status; without one it is the backend's own failure.
func (ch *chunk) fault() (policies.Outcome, string) {
	if len(ch.Error) == 0 || string(ch.Error) == "null" {
		return policies.OK, ""
	}
	var e struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
	}
	_ = json.Unmarshal(ch.Error, &e) // an error of another shape has no code
	code := 500
	var n int
	if json.Unmarshal(e.Code, &n) == nil && n >= 400 && n <= 599 {
		code = n
	}
	return ofStatus(code, nil), fmt.Sprintf("error in the answer: %s", e.Message)
}

// refusal takes an answer that is not 2xx.
func (c *Client) refusal(w *watch, res *Result, resp *http.Response, body io.Reader, b *buffers) {
	res.Outcome, res.Done = ofStatus(resp.StatusCode, resp.Header), c.now()
	res.RetryAfter = retryAfter(resp.Header, time.Now())
	text := fmt.Sprintf("status %d", resp.StatusCode)
	if resp.StatusCode < 400 {
		text += ": only 2xx is an answer, and redirects are not followed"
	}
	w.stall.Reset(min(lingerTime, c.times.Stall))
	b.answer.Reset()
	_, err := io.CopyN(&b.answer, resp.Body, maxRefusal) // not through the stall timer: one linger for all of it
	if said := says(b.answer.Bytes()); said != "" {
		text += ": " + said
	}
	res.Detail = c.detail(text)
	if err == nil {
		w.linger(resp.Body, b.read, lingerTime)
	}
}

// says finds the message in a failing answer.
func says(b []byte) string {
	var e struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(b, &e) != nil {
		return string(b)
	}
	var in struct {
		Message string `json:"message"`
	}
	var s string
	switch {
	case json.Unmarshal(e.Error, &in) == nil && in.Message != "":
		return in.Message
	case json.Unmarshal(e.Error, &s) == nil && s != "":
		return s
	case e.Message != "":
		return e.Message
	}
	return string(b)
}
