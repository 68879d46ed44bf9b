package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// inCluster is where a pod finds the credentials of its service account.
const inCluster = "/var/run/secrets/kubernetes.io/serviceaccount"

// Access says how to reach a cluster. Empty fields are filled from the kubeconfig
// file, then from the pod that the program runs in.
type Access struct {
	Server     string // base URL
	TokenFile  string // read anew for each call, since it may be rotated
	CAFile     string // PEM
	Kubeconfig string // file; empty = $KUBECONFIG, then ~/.kube/config where it exists
	Context    string // of the kubeconfig; empty = its current one
	Namespace  string
}

// file is as much of a kubeconfig as can be served without running helpers.
type file struct {
	CurrentContext string `yaml:"current-context"`
	Contexts       []struct {
		Name    string
		Context struct{ Cluster, User, Namespace string }
	}
	Clusters []struct {
		Name    string
		Cluster struct {
			Server   string
			CA       string `yaml:"certificate-authority"`
			CAData   string `yaml:"certificate-authority-data"`
			Insecure bool   `yaml:"insecure-skip-tls-verify"`
			TLSName  string `yaml:"tls-server-name"`
		}
	}
	Users []struct {
		Name string
		User credentials
	}
}

type credentials struct {
	Token     string
	TokenFile string `yaml:"tokenFile"`
	Cert      string `yaml:"client-certificate"`
	CertData  string `yaml:"client-certificate-data"`
	Key       string `yaml:"client-key"`
	KeyData   string `yaml:"client-key-data"`
	Exec      any
	Provider  any `yaml:"auth-provider"`
}

// Find fills in the way to a cluster: Server, Token, HTTP and Namespace of the answer.
func (a Access) Find() (Config, error) {
	if a.Server != "" {
		return a.plain(a.Server, a.TokenFile, a.CAFile)
	}
	path := a.Kubeconfig
	if path == "" {
		path = os.Getenv("KUBECONFIG")
	}
	if path == "" {
		if home, err := os.UserHomeDir(); err == nil {
			if p := filepath.Join(home, ".kube", "config"); exists(p) {
				path = p
			}
		}
	}
	if path != "" {
		return a.read(path)
	}
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || !exists(filepath.Join(inCluster, "token")) {
		return Config{}, errors.New("kube: no cluster is known: name a server, or a kubeconfig file")
	}
	if a.Namespace == "" {
		ns, err := os.ReadFile(filepath.Join(inCluster, "namespace"))
		if err != nil {
			return Config{}, err
		}
		a.Namespace = strings.TrimSpace(string(ns))
	}
	return a.plain("https://"+host+":"+port, filepath.Join(inCluster, "token"), filepath.Join(inCluster, "ca.crt"))
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// plain is a server with a token and a CA in files.
func (a Access) plain(server, token, ca string) (Config, error) {
	c := Config{Server: server, Namespace: a.Namespace}
	if token != "" {
		c.Token = fromFile(token)
	}
	t := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return Config{}, fmt.Errorf("kube: the CA: %w", err)
		}
		if t.RootCAs, err = pool(pem); err != nil {
			return Config{}, fmt.Errorf("kube: %s: %w", ca, err)
		}
	}
	c.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment}}
	return c, nil
}

func fromFile(path string) func() (string, error) {
	return func() (string, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("kube: the token: %w", err)
		}
		return string(bytes.TrimSpace(b)), nil
	}
}

func pool(pem []byte) (*x509.CertPool, error) {
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no certificate")
	}
	return p, nil
}

// read takes one context of a kubeconfig file.
func (a Access) read(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("kube: %w", err)
	}
	var f file
	if err := yaml.Unmarshal(text, &f); err != nil {
		return Config{}, fmt.Errorf("kube: %s: %w", path, err)
	}
	c, err := a.choose(&f, filepath.Dir(path))
	if err != nil {
		return Config{}, fmt.Errorf("kube: %s: %w", path, err)
	}
	return c, nil
}

func (a Access) choose(f *file, dir string) (Config, error) {
	name := a.Context
	if name == "" {
		name = f.CurrentContext
	}
	var c Config
	t := &tls.Config{}
	found := false
	var cluster, user string
	for _, x := range f.Contexts {
		if x.Name == name {
			found, cluster, user, c.Namespace = true, x.Context.Cluster, x.Context.User, x.Context.Namespace
		}
	}
	if !found {
		return Config{}, fmt.Errorf("there is no context %q", name)
	}
	if a.Namespace != "" {
		c.Namespace = a.Namespace
	}
	for _, x := range f.Clusters {
		if x.Name != cluster {
			continue
		}
		c.Server = x.Cluster.Server
		t.InsecureSkipVerify, t.ServerName = x.Cluster.Insecure, x.Cluster.TLSName
		pem, err := either(dir, x.Cluster.CA, x.Cluster.CAData)
		if err != nil {
			return Config{}, err
		}
		if pem != nil {
			if t.RootCAs, err = pool(pem); err != nil {
				return Config{}, fmt.Errorf("certificate-authority of %s: %w", cluster, err)
			}
		}
	}
	if c.Server == "" {
		return Config{}, fmt.Errorf("there is no cluster %q", cluster)
	}
	for _, x := range f.Users {
		if x.Name != user {
			continue
		}
		if err := x.User.use(&c, t, dir); err != nil {
			return Config{}, fmt.Errorf("user %s: %w", user, err)
		}
	}
	c.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment}}
	return c, nil
}

func (u *credentials) use(c *Config, t *tls.Config, dir string) error {
	if u.Exec != nil || u.Provider != nil {
		return errors.New("it gets its credentials from a helper program, which is not run: put a token or a client certificate there")
	}
	switch {
	case u.Token != "":
		token := u.Token
		c.Token = func() (string, error) { return token, nil }
	case u.TokenFile != "":
		c.Token = fromFile(under(dir, u.TokenFile))
	}
	cert, err := either(dir, u.Cert, u.CertData)
	if err != nil || cert == nil {
		return err
	}
	key, err := either(dir, u.Key, u.KeyData)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	t.Certificates = []tls.Certificate{pair}
	return nil
}

// either is what a field and its -data twin hold, nil when neither is set.
func either(dir, path, data string) ([]byte, error) {
	if data != "" {
		b, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return nil, fmt.Errorf("data that is not base64: %w", err)
		}
		return b, nil
	}
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(under(dir, path))
}

// under resolves a path of a kubeconfig, which is relative to the file.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
