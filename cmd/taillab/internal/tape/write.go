package tape

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a tape piece by piece. After every piece what came before it can be
// read, whatever becomes of the program.
type Writer struct {
	z       *zstd.Encoder
	streams map[string]uint64
	buf     []byte
}

// NewWriter begins a tape; the streams of the header are not written.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write tape: %w", err)
	}
	if _, err := io.WriteString(w, magic); err != nil {
		return nil, fmt.Errorf("write tape: %w", err)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("write tape: %w", err)
	}
	out := &Writer{z: z, streams: map[string]uint64{}}
	if err := out.write(binary.AppendUvarint(nil, uint64(len(head))), head); err != nil {
		return nil, errors.Join(err, z.Close())
	}
	return out, nil
}

// write hands bytes on so that a reader finds them.
func (w *Writer) write(parts ...[]byte) error {
	for _, b := range parts {
		if _, err := w.z.Write(b); err != nil {
			return fmt.Errorf("write tape: %w", err)
		}
	}
	if err := w.z.Flush(); err != nil {
		return fmt.Errorf("write tape: %w", err)
	}
	return nil
}

// Piece adds to a stream, whole records of it.
func (w *Writer) Piece(stream string, data []byte) error {
	number, known := w.streams[stream]
	if !known {
		number = uint64(len(w.streams)) + 1
		w.streams[stream] = number
	}
	b := binary.AppendUvarint(w.buf[:0], number)
	if !known {
		b = binary.AppendUvarint(b, uint64(len(stream)))
		b = append(b, stream...)
	}
	w.buf = binary.AppendUvarint(b, uint64(len(data)))
	return w.write(w.buf, data)
}

// Close ends the tape. One that is not whole is left without its mark, so that readers
// know.
func (w *Writer) Close(whole bool) error {
	if whole {
		return w.end(endMark)
	}
	return w.end()
}

// end writes the last marks.
func (w *Writer) end(marks ...byte) error {
	var err error
	if len(marks) > 0 {
		err = w.write(marks)
	}
	if e := w.z.Close(); e != nil && err == nil {
		err = fmt.Errorf("write tape: %w", e)
	}
	return err
}

// Write writes a tape at once, with the streams of its header, whole or cut short.
func Write(to io.Writer, h Header, whole bool) error {
	w, err := NewWriter(to, h)
	if err != nil {
		return err
	}
	for _, s := range h.Streams {
		if err := w.Piece(s.Name, s.Data); err != nil {
			return errors.Join(err, w.Close(false))
		}
	}
	return w.Close(whole)
}
