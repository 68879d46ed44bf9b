package policies_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPurity holds that policies, the life of a request and the replica read no
// clock, draw from no hidden dice, own no goroutine or lock and touch no file or
// socket: what makes a run repeatable, and the same in both hosts.
func TestPurity(t *testing.T) {
	t.Parallel()
	for _, root := range []string{".", "../sim/gpu"} { // fit calibrates off line; presets embeds files and runs nothing
		if _, err := os.Stat(root); os.IsNotExist(err) {
			t.Skipf("%s is not there", root)
		}
		require.Empty(t, impurities(t, root, "fit", "presets", "testdata"))
	}
}

// TestPurityTestsItself runs the test on a folder of bad examples: each line that
// ends in a comment "want: TEXT" must be found, and nothing else.
func TestPurityTestsItself(t *testing.T) {
	t.Parallel()
	root := filepath.Join("testdata", "impure")
	var want []string
	for _, file := range goFiles(t, root) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if _, what, ok := strings.Cut(line, "// want: "); ok {
				want = append(want, fmt.Sprintf("%s:%d: %s", file, i+1, what))
			}
		}
	}
	require.NotEmpty(t, want)
	require.ElementsMatch(t, want, impurities(t, root))
}

// allowed lists the packages that pure code may import.
var allowed = []string{"cmp", "errors", "fmt", "math", "math/bits", "math/rand/v2", "slices", "strings", "time",
	"github.com/cespare/xxhash/v2"}

// impurities lists what is wrong in the Go files under root, tests left out.
func impurities(t *testing.T, root string, skip ...string) []string {
	t.Helper()
	var out []string
	for _, file := range goFiles(t, root, skip...) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		require.NoError(t, err)
		if ignored(f) {
			continue
		}
		c := checker{fset: fset, file: f, table: filepath.Base(file) == "tables.go", maps: mapNames(t, filepath.Dir(file))}
		c.imports()
		ast.Inspect(f, c.node)
		c.vars()
		out = append(out, c.found...)
	}
	return out
}

// goFiles lists the Go files under root but tests and the folders named.
func goFiles(t *testing.T, root string, skip ...string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			out = append(out, path)
		}
		return nil
	}))
	return out
}

// ignored tells whether a file is a generator outside the build.
func ignored(f *ast.File) bool {
	for _, g := range f.Comments {
		if g.Pos() < f.Package && strings.HasPrefix(g.List[0].Text, "//go:build ignore") {
			return true
		}
	}
	return false
}

type checker struct {
	fset  *token.FileSet
	file  *ast.File
	table bool
	maps  map[string]bool
	found []string
}

func (c *checker) bad(n ast.Node, format string, args ...any) {
	p := c.fset.Position(n.Pos())
	c.found = append(c.found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...)))
}

func (c *checker) imports() {
	for _, i := range c.file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil || slices.Contains(allowed, path) || path == "taillab/policies" ||
			strings.HasPrefix(path, "taillab/policies/") || strings.HasPrefix(path, "taillab/sim/gpu") {
			continue
		}
		c.bad(i, "import %s", path)
	}
}

// node checks one piece of syntax.
func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.bad(n, "go")
	case *ast.SelectStmt:
		c.bad(n, "select")
	case *ast.ChanType:
		c.bad(n, "chan")
	case *ast.SelectorExpr:
		c.selector(n)
	case *ast.RangeStmt:
		if c.isMap(n.X) && !c.says(n, "//purity:ordered") {
			c.bad(n, "range over a map")
		}
	}
	return true
}

// selector finds clocks and dice that nobody lent.
func (c *checker) selector(s *ast.SelectorExpr) {
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a local name hides the package
		return
	}
	switch x.Name {
	case "time":
		if slices.Contains([]string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}, s.Sel.Name) {
			c.bad(s, "time.%s", s.Sel.Name)
		}
	case "rand":
		if !slices.Contains([]string{"Rand", "New", "NewPCG", "PCG", "Source"}, s.Sel.Name) {
			c.bad(s, "rand.%s", s.Sel.Name)
		}
	}
}

// isMap tells by syntax whether an expression is a map: a literal, or a name that
// is declared as one somewhere in the package.
func (c *checker) isMap(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.CompositeLit:
		_, ok := x.Type.(*ast.MapType)
		return ok
	case *ast.Ident:
		return c.maps[x.Name]
	case *ast.SelectorExpr:
		return c.maps[x.Sel.Name]
	case *ast.ParenExpr:
		return c.isMap(x.X)
	case *ast.IndexExpr:
		return c.isMap(x.X)
	}
	return false
}

// mapNames lists the names of variables, fields and parameters of map types (also
// slices of maps) in the package of a folder.
func mapNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				for _, name := range n.Names {
					out[name.Name] = out[name.Name] || isMapType(n.Type)
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					out[name.Name] = out[name.Name] || isMapType(n.Type)
				}
				assigned(out, exprs(n.Names), n.Values)
			case *ast.AssignStmt:
				assigned(out, n.Lhs, n.Rhs)
			}
			return true
		})
	}
	return out
}

func exprs(names []*ast.Ident) []ast.Expr {
	out := make([]ast.Expr, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

// assigned marks names that get a map literal or make(map…).
func assigned(out map[string]bool, to, from []ast.Expr) {
	if len(to) != len(from) {
		return
	}
	for i, x := range from {
		name, ok := to[i].(*ast.Ident)
		if !ok {
			continue
		}
		switch x := x.(type) {
		case *ast.CompositeLit:
			out[name.Name] = out[name.Name] || isMapType(x.Type)
		case *ast.CallExpr:
			if f, ok := x.Fun.(*ast.Ident); ok && f.Name == "make" && len(x.Args) > 0 {
				out[name.Name] = out[name.Name] || isMapType(x.Args[0])
			}
		}
	}
}

func isMapType(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.MapType:
		return true
	case *ast.ArrayType:
		_, ok := x.Elt.(*ast.MapType)
		return ok
	}
	return false
}

// vars checks package-level variables: errors, catalogues and tables only.
func (c *checker) vars() {
	if c.table {
		return
	}
	for _, d := range c.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || c.isError(v) || c.says(v, "//purity:table") || v.Names[0].Name == "_" {
				continue
			}
			c.bad(v, "var %s", v.Names[0].Name)
		}
	}
}

// isError tells whether a variable is made by errors.New or fmt.Errorf.
func (c *checker) isError(v *ast.ValueSpec) bool {
	for _, x := range v.Values {
		call, ok := x.(*ast.CallExpr)
		if !ok {
			return false
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || (f.Sel.Name != "New" && f.Sel.Name != "Errorf") {
			return false
		}
	}
	return len(v.Values) > 0
}

// says tells whether a comment with the mark stands on a line of the node's head,
// or on its last line.
func (c *checker) says(n ast.Node, mark string) bool {
	first, last := c.fset.Position(n.Pos()).Line, c.fset.Position(n.End()).Line
	for _, g := range c.file.Comments {
		for _, k := range g.List {
			line := c.fset.Position(k.Pos()).Line
			if strings.HasPrefix(k.Text, mark) && (line == first || line == last) {
				return true
			}
		}
	}
	return false
}
