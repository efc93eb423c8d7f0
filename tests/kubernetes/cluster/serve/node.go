// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// startNode returns when the node takes pods and answers names.
func (it *cluster) startNode(ctx context.Context) error {
	address := fmt.Sprintf("%s:%d", it.address, it.ports["kube-apiserver"])
	if err := forward(ctx, address, it.local("kube-apiserver")); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		it.startContainerd, it.startKubelet, it.startProxy, it.startNames,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return it.untilNodesAreReady(ctx, "kubelet")
}

// A containerd that nobody else uses. Images for 127.0.0.1 are pulled over plain HTTP, as containerd does by itself.
const containerdConfig = `version = 2
root = "%[1]s/containerd/root"
state = "%[1]s/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = "%[1]s/c.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/fleetflow/pause:1"
  # Where the process that starts containers may not lower it, as inside another container, each would fail.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "%[2]s"
  conf_dir = "%[1]s/cni"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "%[1]s/registries"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`

// No registry but those on loopback is asked for an image, least of all the one that a name without a host means.
const nowhere = "server = \"http://127.0.0.1:1\"\n[host.\"http://127.0.0.1:1\"]\n"

// A cable from each pod to the machine instead of a bridge: all that pods say to each other is routed, so that
// addresses of Services are translated back on the way, whether or not the kernel shows it what crosses a bridge.
const network = `{
  "cniVersion": "0.4.0",
  "name": "fleetflow",
  "plugins": [{
    "type": "ptp",
    "ipMasq": false,
    "ipam": {"type": "host-local", "dataDir": "%[1]s/addresses", "ranges": [[{"subnet": "%[2]s"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}
`

func (it *cluster) startContainerd(ctx context.Context) error {
	plugins, err := networkPlugins()
	if err != nil {
		return err
	}
	for _, folder := range []string{"containerd", "cni", "registries/docker.io"} {
		if err := os.MkdirAll(it.path(folder), 0o711); err != nil {
			return err
		}
	}
	if err := it.write("containerd.toml", fmt.Sprintf(containerdConfig, it.folder, plugins)); err != nil {
		return err
	}
	if err := it.write("registries/docker.io/hosts.toml", nowhere); err != nil {
		return err
	}
	if err := it.write("cni/fleetflow.conflist", fmt.Sprintf(network, it.folder, it.pods)); err != nil {
		return err
	}
	if err := it.start(ctx, "containerd", "containerd", "--config", it.path("containerd.toml")); err != nil {
		return err
	}
	return it.until(ctx, "containerd", "containerd does not answer", func() error {
		connection, err := net.Dial("unix", it.path("c.sock"))
		if err == nil {
			connection.Close()
		}
		return err
	})
}

// networkPlugins is the folder where the distribution puts them.
func networkPlugins() (string, error) {
	for _, folder := range []string{"/usr/lib/cni", "/usr/libexec/cni"} {
		if _, err := os.Stat(filepath.Join(folder, "ptp")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("there are no CNI plugins (ptp, host-local): the package is containernetworking-plugins")
}

// The limits at which a kubelet would throw out pods or images are the machine's business here: it is shared with
// whatever else runs on it, and a full disk of somebody else must not fail a test.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[2]s
port: %[3]d
healthzPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: %[1]s/pki/ca.crt}
authorization: {mode: AlwaysAllow}
tlsCertFile: %[1]s/pki/serving-kubelet.crt
tlsPrivateKeyFile: %[1]s/pki/serving-kubelet.key
containerRuntimeEndpoint: unix://%[1]s/c.sock
cgroupDriver: cgroupfs
cgroupRoot: /fleetflow-cluster
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
failSwapOn: false
failCgroupV1: false
localStorageCapacityIsolation: false
clusterDNS: ["%[4]s"]
clusterDomain: cluster.local
resolvConf: %[1]s/resolv.conf
podLogsDir: %[1]s/pods
maxPods: 200
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
nodeStatusUpdateFrequency: 5s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%, nodefs.inodesFree: 0%%}
`

func (it *cluster) startKubelet(ctx context.Context) error {
	// No name but the cluster's own is looked up: nothing outside of the machine is asked.
	if err := it.write("resolv.conf", ""); err != nil {
		return err
	}
	text := fmt.Sprintf(kubeletConfig, it.folder, it.address, it.ports["kubelet"], it.dns)
	if err := it.write("kubelet.yaml", text); err != nil {
		return err
	}
	return it.component(ctx, "kubelet",
		"--config="+it.path("kubelet.yaml"), "--kubeconfig="+it.kubeconfig("kubelet"),
		"--root-dir="+it.path("kubelet"), "--hostname-override="+nodeName, "--node-ip="+it.address,
	)
}

// Node ports are opened on the node's own address alone, not on the machine's.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: %[1]s}
hostnameOverride: node
clusterCIDR: %[2]s
bindAddress: %[3]s
healthzBindAddress: ""
metricsBindAddress: ""
nodePortAddresses: ["%[3]s/32"]
iptables: {localhostNodePorts: false, minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`

func (it *cluster) startProxy(ctx context.Context) error {
	text := fmt.Sprintf(proxyConfig, it.kubeconfig("kube-proxy"), it.pods, it.address)
	if err := it.write("kube-proxy.yaml", text); err != nil {
		return err
	}
	return it.component(ctx, "kube-proxy", "--config="+it.path("kube-proxy.yaml"))
}

const corefile = `.:%[1]d {
  bind %[2]s
  errors
  ready %[2]s:%[3]d
  cache 2
  kubernetes cluster.local {
    kubeconfig %[4]s
    ttl 1
  }
}
`

// startNames runs CoreDNS beside the node instead of on it: an image of it would have to be made first.
func (it *cluster) startNames(ctx context.Context) error {
	text := fmt.Sprintf(corefile, it.ports["coredns"], it.address, it.ports["coredns-ready"], it.kubeconfig("coredns"))
	if err := it.write("Corefile", text); err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(it.program), "coredns")
	if err := it.start(ctx, "coredns", program, "-conf", it.path("Corefile")); err != nil {
		return err
	}
	return it.until(ctx, "coredns", "CoreDNS does not answer", func() error {
		return isReady(fmt.Sprintf("http://%s:%d/ready", it.address, it.ports["coredns-ready"]))
	})
}

func isReady(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}
