// Package source finds the members of a service: those listed in its targets file, the
// addresses of a name, or the lines of a file.
package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"taillab/scenarios"
)

// List reads the members now. For a source other than the list in the targets file each
// has weight 1 and the service's slots. None at all is an error.
func List(ctx context.Context, t *scenarios.TargetService) ([]scenarios.TargetURL, error) {
	var urls []string
	switch src := t.Source; src.Kind {
	case scenarios.SourceFile:
		data, err := os.ReadFile(src.File)
		if err != nil {
			return nil, fmt.Errorf("the file of members: %w", err)
		}
		var problems []scenarios.Problem
		if urls, problems = scenarios.LoadMembers(scenarios.Source{Name: src.File, Data: data}); len(problems) > 0 {
			return nil, problems[0]
		}
	case scenarios.SourceDNS:
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", src.Host)
		if err != nil {
			return nil, fmt.Errorf("the name of the members: %w", err)
		}
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		for _, a := range slices.Compact(addrs) {
			urls = append(urls, src.Scheme+"://"+net.JoinHostPort(a.String(), strconv.Itoa(src.Port)))
		}
	default:
		return t.Targets, nil
	}
	if len(urls) == 0 {
		return nil, errors.New("there are no members")
	}
	var out []scenarios.TargetURL
	for _, u := range urls {
		out = append(out, scenarios.TargetURL{URL: u, Weight: 1, Slots: t.Slots})
	}
	return out, nil
}
