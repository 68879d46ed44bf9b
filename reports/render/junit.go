package render

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"taillab/reports"
)

// The elements of a JUnit report, in the order and with the attributes that the
// strictest of the schemas in use asks for (Windy Road's JUnit.xsd; those of
// Jenkins and of GitLab accept what it does).
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []junitSuite
	}
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Timestamp  string          `xml:"timestamp,attr"` // ISO 8601, UTC, without a zone
		Hostname   string          `xml:"hostname,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"` // s
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase
		SystemOut  string `xml:"system-out"`
		SystemErr  string `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		XMLName   xml.Name     `xml:"testcase"`
		Name      string       `xml:"name,attr"`
		Classname string       `xml:"classname,attr"`
		Time      string       `xml:"time,attr"`
		Skipped   *junitReason `xml:"skipped"`
		Error     *junitReason `xml:"error"`
		Failure   *junitReason `xml:"failure"`
	}
	junitReason struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"` // an error's or a failure's
		Text    string `xml:",chardata"`
	}
)

// JUnit writes one test case per gate and cell: a failed gate is a failure, an
// inconclusive one is skipped with its reason (a failure if o.Strict), one of an
// invalid measurement is an error. Warnings are the suite's output.
func JUnit(w io.Writer, s *reports.Summary, o Options) error {
	suite := junitSuite{Name: s.Scenario, Package: "taillab", Timestamp: junitTime(s.StartedAt), Hostname: "localhost",
		Time: seconds(s.WallS), SystemOut: junitNotes(s),
		Properties: []junitProperty{
			{"host", s.Host}, {"seed", strconv.FormatUint(s.Seed, 10)}, {"scenario_hash", s.ScenarioHash},
			{"run_id", s.RunID}, {"confidence", float(s.Confidence)},
		}}
	if suite.Name == "" {
		suite.Name = "(no name)"
	}
	for _, g := range s.Gates {
		suite.add(junitCaseOf(s, g, o))
	}
	var b buffer
	b = append(b, xml.Header...)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	_, err := w.Write(append(b, '\n'))
	return err
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func junitCaseOf(s *reports.Summary, g reports.Gate, o Options) junitCase {
	c := junitCase{Name: gateName(g), Classname: s.Scenario + "." + g.Policy, Time: seconds(0)}
	text := gateText(g)
	why := &junitReason{Message: text, Type: string(g.Verdict), Text: gatePlace(g, o) + gateName(g) + "\n" + text + "\n"}
	switch {
	case g.Verdict == reports.Pass:
	case g.Verdict == reports.Fail || g.Verdict == reports.Inconclusive && o.Strict:
		c.Failure = why
	case g.Verdict == reports.Inconclusive:
		c.Skipped = &junitReason{Message: text}
	default:
		c.Error = why
	}
	return c
}

// gatePlace is where a gate stands: "mine.yaml:12:5: ".
func gatePlace(g reports.Gate, o Options) string {
	if o.File == "" || g.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d: ", o.File, g.Line, g.Column)
}

// junitTime is a time of the summary without its zone, which is UTC. The schema
// asks for one where a summary has none, as that of a baseline.
func junitTime(rfc3339 string) string {
	if t := strings.TrimSuffix(rfc3339, "Z"); t != "" {
		return t
	}
	return "1970-01-01T00:00:00"
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }

func junitNotes(s *reports.Summary) string {
	var b strings.Builder
	for _, n := range notes(s) {
		fmt.Fprintf(&b, "%s: %s\n", n.code, n.text)
	}
	return b.String()
}
