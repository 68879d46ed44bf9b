package workloads

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// maxLine bounds one line of a trace: rows with prefix ids are long.
const maxLine = 16 << 20

// open returns the plain content of a file or of standard input; gzip and
// Zstandard are known by their first bytes, whatever the name.
func (o Options) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		if o.Stdin == nil {
			return nil, errors.New("standard input (-) cannot be read here")
		}
		return plain(name, io.NopCloser(o.Stdin))
	}
	path := name
	if o.Dir != "" && !filepath.IsAbs(name) {
		path = filepath.Join(o.Dir, name)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name a file in it", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain(name, f)
}

// stacked is a decoder with the file below it.
type stacked struct {
	io.Reader
	close func() error
}

func (s stacked) Close() error { return s.close() }

func plain(name string, f io.ReadCloser) (io.ReadCloser, error) {
	r := bufio.NewReaderSize(f, 64<<10)
	head, _ := r.Peek(4) // an error shows at the first read
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("%s: not a valid gzip file: %w", name, err)
		}
		return stacked{z, f.Close}, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("%s: not a valid Zstandard file: %w", name, err)
		}
		return stacked{z, func() error { z.Close(); return f.Close() }}, nil
	}
	return stacked{r, f.Close}, nil
}

// lines reads a text line by line: LF or CRLF, with or without a final newline
// or a byte order mark. Blank lines are not rows.
type lines struct {
	r    *bufio.Reader
	long []byte // a line that did not fit the reader's buffer
	num  int    // of the last line, from 1
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 64<<10)} }

var errLongLine = fmt.Errorf("the line is longer than %d MiB", maxLine>>20)

// next returns the next line that is not blank; it is valid until the next call.
// io.EOF ends the text.
func (l *lines) next() ([]byte, error) {
	for {
		b, err := l.read()
		if len(b) == 0 && err != nil {
			return nil, err
		}
		l.num++
		if l.num == 1 {
			b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
		}
		b = bytes.TrimRight(b, "\r\n")
		if len(bytes.TrimSpace(b)) > 0 {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (l *lines) read() ([]byte, error) {
	l.long = l.long[:0]
	for {
		b, err := l.r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(l.long) > 0 {
				l.long = append(l.long, b...)
				b = l.long
			}
			if err != nil && err != io.EOF {
				return nil, err
			}
			return b, err
		}
		if l.long = append(l.long, b...); len(l.long) > maxLine {
			return nil, errLongLine
		}
	}
}
