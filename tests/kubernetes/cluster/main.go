// SPDX-License-Identifier: Apache-2.0

// A Kubernetes in one binary: each component of one release, chosen by the first argument, as the multi-call binary of
// busybox chooses its applet. Linked together they share what they have in common, which is nearly everything: one
// build of four minutes and one file of 130 MB instead of six of each.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"fleetflow/cluster/scripted"
	"fleetflow/cluster/serve"
)

var components = map[string]func() int{
	"etcd":                    etcd,
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"scripted-kubelet":        scripted.Run,
	"serve":                   serve.Run,
}

func main() {
	if len(os.Args) > 1 {
		if component, known := components[os.Args[1]]; known {
			// Each reads its flags from os.Args.
			os.Args = os.Args[1:]
			os.Exit(component())
		}
	}
	fmt.Fprintf(os.Stderr, "usage: %s COMPONENT FLAG…\ncomponents: %s\n", os.Args[0], strings.Join(names(), ", "))
	os.Exit(2)
}

func command(made func() *cobra.Command) func() int {
	return func() int { return cli.Run(made()) }
}

// etcd ends the process by itself.
func etcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func names() []string {
	var all []string
	for name := range components {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}
