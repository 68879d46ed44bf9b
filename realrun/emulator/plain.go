package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// plain is POST /: any body. A JSON object may say input, output (tokens) and model.
func plain() api {
	return api{
		read: func(_ *http.Request, data []byte) (ask, error) {
			var b struct {
				Model     string `json:"model"`
				Input     uint32 `json:"input"`
				Output    uint32 `json:"output"`
				MaxTokens uint32 `json:"max_tokens"`
			}
			a := ask{output: 1}
			if json.Unmarshal(data, &b) != nil { // not ours: its words count
				a.input = uint32(len(strings.Fields(string(data))))
				return a, nil
			}
			a.model, a.input, a.output = b.Model, b.Input, max(b.Output, b.MaxTokens)
			if a.input > 1<<30 || a.output > 1<<30 {
				return a, errors.New("input and output must be at most 2³⁰ tokens")
			}
			return a, nil
		},
		whole: func(a *ask, c *call) any {
			return map[string]any{"replica": c.replica, "input": a.input, "output": max(1, a.output),
				"queue_ns": int64(c.queue), "batch_ns": int64(c.batch), "service_ns": int64(c.service)}
		},
	}
}

// kserve is the inference of the KServe v2 protocol in JSON: the words of the first
// text input count as input, parameters.max_tokens as output.
func kserve() api {
	return api{
		read: func(q *http.Request, data []byte) (ask, error) {
			var b struct {
				ID     string `json:"id"`
				Inputs []struct {
					Data json.RawMessage `json:"data"`
				} `json:"inputs"`
				Parameters struct {
					MaxTokens *int64 `json:"max_tokens"`
				} `json:"parameters"`
			}
			if err := json.Unmarshal(data, &b); err != nil {
				return ask{}, fmt.Errorf("the body cannot be read: %w", err)
			}
			a := ask{model: q.PathValue("model"), id: b.ID, output: 1}
			for _, in := range b.Inputs {
				a.input += min(countWords(in.Data), 1<<20)
			}
			if m := b.Parameters.MaxTokens; m != nil {
				if *m < 1 || *m > 1<<30 {
					return a, fmt.Errorf("parameters.max_tokens is %d: it must lie in [1, 2³⁰]", *m)
				}
				a.output = uint32(*m)
			}
			return a, nil
		},
		whole: func(a *ask, _ *call) any {
			out := map[string]any{"model_name": a.model, "outputs": []any{map[string]any{
				"name": "text_output", "datatype": "BYTES", "shape": []int{1}, "data": []string{words(int(max(1, a.output)))}}}}
			if a.id != "" {
				out["id"] = a.id
			}
			return out
		},
	}
}
