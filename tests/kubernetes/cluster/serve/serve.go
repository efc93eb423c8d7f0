// SPDX-License-Identifier: Apache-2.0

// Package serve runs a cluster in one folder: it makes every credential anew, starts the components as children,
// starts one again that ends, and says in the file `ready` that the cluster can be used. It ends when it is told to.
//
// It is started as the first process of a process and mount name space of its own (see scripts/cluster): whatever a
// component starts or mounts is gone when this process is, and nothing of it is seen outside.
package serve

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
)

// What tells one cluster from another. Loopback is all that the control plane needs; the node needs an address that
// its pods can reach, which is that of a bridge made for it.
type cluster struct {
	folder   string
	kind     string
	address  string // of the node, empty without one
	services string // the range of addresses for Services
	pods     string // the range for pods
	dns      string // one of the services
	readable int    // the group that may read what people use
	program  string
	ca       *authority
	ports    map[string]int
	client   *kubernetes.Clientset
}

// Run is the whole life of a cluster. Returns the exit code.
func Run() int {
	it := &cluster{}
	flag.StringVar(&it.folder, "folder", "", "where everything is kept")
	flag.StringVar(&it.kind, "kind", "node", "node: a whole one; plane: a control plane and a scripted kubelet")
	flag.StringVar(&it.address, "address", "", "of the node")
	flag.StringVar(&it.services, "services", "", "addresses of Services, as 10.0.0.0/24")
	flag.StringVar(&it.pods, "pods", "", "addresses of pods")
	flag.StringVar(&it.dns, "dns", "", "address of the cluster's name server")
	flag.IntVar(&it.readable, "readable-by", 0, "group that may read the kubeconfig")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := it.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		return 1
	}
	return 0
}

func (it *cluster) run(ctx context.Context) error {
	withoutProxies()
	if err := it.prepare(); err != nil {
		return err
	}
	if err := it.startControlPlane(ctx); err != nil {
		return err
	}
	begin := it.startScripted
	if it.kind == "node" {
		begin = it.startNode
	}
	if err := begin(ctx); err != nil {
		return err
	}
	if err := it.write("ready", time.Now().Format(time.RFC3339)+"\n"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// A proxy for the way out would be asked for the node's address too.
func withoutProxies() {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		os.Unsetenv(name)
	}
}

func (it *cluster) prepare() error {
	var err error
	if it.program, err = os.Executable(); err != nil {
		return err
	}
	for _, folder := range []string{"pki", "logs", "held", "claims"} {
		if err := os.MkdirAll(it.path(folder), 0o700); err != nil {
			return err
		}
	}
	// Claims are written by whatever user a pod runs as.
	if err := os.Chmod(it.path("claims"), 0o755); err != nil {
		return err
	}
	names := []string{"kube-apiserver", "kubelet", "coredns", "coredns-ready"}
	if it.ports, err = freePorts(names); err != nil {
		return err
	}
	return it.issueAll()
}

func (it *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{it.folder}, parts...)...)
}

func (it *cluster) write(name, text string) error {
	return os.WriteFile(it.path(name), []byte(text), 0o600)
}

func (it *cluster) local(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", it.ports[name])
}
