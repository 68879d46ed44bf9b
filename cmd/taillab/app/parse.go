package app

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"taillab/scenarios"
)

// envName is the environment name of a flag.
func envName(flag string) string {
	return "TAILLAB_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// parse reads the command line. Without a verb to run it returns nil and the code.
func (s *session) parse() (verb, int) {
	args := s.Args
	if len(args) == 0 {
		return nil, s.fail(exitUsage, "first of all: taillab run wechat-jiq   all verbs: taillab --help", "no verb given: one of %s", strings.Join(verbs(), " "))
	}
	switch first := args[0]; {
	case first == "__complete":
		return &completeCmd{words: args[1:]}, exitOK
	case first == "help":
		args = append(append([]string{}, args[1:]...), "--help")
	case first == "--version":
		args = []string{"version"}
	case !strings.HasPrefix(first, "-") && !contains(verbs(), first):
		return nil, s.unknownVerb(first)
	}
	var g grammar
	helped := false
	k, err := kong.New(&g, kong.Name("taillab"), kong.Writers(s.out, s.err),
		kong.Description("A laboratory for dispatching policies of GPU services.\n\nFirst: taillab run wechat-jiq. Every flag has an environment name TAILLAB_<FLAG>; a flag beats it."),
		kong.Exit(func(int) { helped = true }), kong.Resolvers(s.environment()),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		return nil, s.fail(exitBroken, "this is a bug of the program", "the command line's grammar: %v", err)
	}
	ctx, err := k.Parse(args)
	if helped {
		return nil, exitOK
	}
	if err != nil {
		return nil, s.misuse(err)
	}
	v, ok := ctx.Selected().Target.Addr().Interface().(verb)
	if !ok {
		return nil, s.fail(exitUsage, "see: taillab "+ctx.Command()+" --help", "%s needs a verb of its own", ctx.Command())
	}
	s.common = commonOf(v)
	s.log = slog.New(slog.DiscardHandler)
	if s.common.Verbose {
		s.log = slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return v, exitOK
}

// commonOf finds the embedded common flags of a verb.
func commonOf(v verb) common {
	f := reflect.ValueOf(v).Elem().FieldByName("Common")
	if c, ok := f.Interface().(common); ok {
		return c
	}
	return common{}
}

// environment resolves flags from TAILLAB_ names; lists are one value per line.
func (s *session) environment() kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		v := s.Getenv(envName(flag.Name))
		if v == "" || flag.Name == "help" {
			return nil, nil
		}
		if flag.IsSlice() {
			var list []any
			for _, line := range strings.Split(strings.TrimSpace(v), "\n") {
				list = append(list, line)
			}
			return list, nil
		}
		return v, nil
	})
}

func (s *session) unknownVerb(name string) int {
	hint := scenarios.Suggest(name, verbs(), "")
	if !strings.HasPrefix(hint, "did you mean") {
		hint = ""
	}
	hint = strings.TrimSpace(hint + " verbs: " + strings.Join(verbs(), " "))
	return s.fail(exitUsage, hint, "unknown verb %q", name)
}

// misuse prints what is wrong with the flags: one error and a suggestion.
func (s *session) misuse(err error) int {
	msg := err.Error()
	var flags, subs []string
	at := "taillab"
	var perr *kong.ParseError
	if errors.As(err, &perr) && perr.Context != nil {
		node := perr.Context.Model.Node
		for _, p := range perr.Context.Path {
			if p.Command != nil {
				node = p.Command
			}
		}
		if node.Name != "taillab" {
			at += " " + node.Name
		}
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				flags = append(flags, "--"+f.Name)
			}
		}
		for _, c := range node.Children {
			subs = append(subs, c.Name)
		}
	}
	help := "see: " + at + " --help"
	if name, ok := strings.CutPrefix(msg, "unknown flag "); ok {
		name, _, _ = strings.Cut(name, ",")
		hint := scenarios.Suggest(name, flags, "")
		if !strings.HasPrefix(hint, "did you mean") {
			hint = ""
		}
		return s.fail(exitUsage, strings.TrimSpace(hint+" flags: "+strings.Join(flags, " ")), "%s has no flag %s", at, name)
	}
	if name, ok := strings.CutPrefix(msg, "unexpected argument "); ok {
		name, _, _ = strings.Cut(name, ",")
		if len(subs) > 0 {
			return s.fail(exitUsage, scenarios.Suggest(name, subs, ""), "unknown verb %q of %s", name, at)
		}
		return s.fail(exitUsage, help, "%s takes no further argument %q", at, name)
	}
	if what, ok := strings.CutPrefix(msg, "expected "); ok {
		return s.fail(exitUsage, help, "%s needs %s", at, strings.NewReplacer(`"`, "").Replace(what))
	}
	if c := noChoice.FindStringSubmatch(msg); c != nil {
		values := slices.DeleteFunc(strings.Split(strings.ReplaceAll(c[2], `"`, ""), ","), func(v string) bool { return v == "" })
		hint := scenarios.Suggest(c[3], values, "")
		if !strings.HasPrefix(hint, "did you mean") {
			hint = help
		}
		return s.fail(exitUsage, hint, "%s is %q: it must be one of %s", strings.Trim(c[1], "[]<>"), c[3], strings.Join(values, ", "))
	}
	return s.fail(exitUsage, help, "%s", plainWords(msg))
}

// noChoice is what the flag parser says of a value that is not in its list.
var noChoice = regexp.MustCompile(`^(\S+) must be one of (\S*) but got "(.*)"$`)

// plainWords rewrites what the flag parser says of types.
func plainWords(msg string) string {
	r := strings.NewReplacer("expected a valid 64 bit int but got", "must be a whole number, not", "expected a valid 64 bit uint but got",
		"must be a whole number of at least 0, not", "expected a float but got", "must be a number, not", " (string)", "")
	return r.Replace(msg)
}

func contains(list []string, x string) bool {
	for _, v := range list {
		if v == x {
			return true
		}
	}
	return false
}

// pair splits KEY=VALUE.
func pair(text, flag string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" || value == "" {
		return "", "", fmt.Errorf("%s %s: write KEY=VALUE", flag, text)
	}
	return strings.TrimSpace(key), strings.TrimSpace(value), nil
}
