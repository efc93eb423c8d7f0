// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// startControlPlane returns when the apiserver says that it is ready; the rest of it finds its way by itself.
func (it *cluster) startControlPlane(ctx context.Context) error {
	if err := it.startEtcd(ctx); err != nil {
		return err
	}
	if err := it.startApiserver(ctx); err != nil {
		return err
	}
	if err := it.connect(ctx); err != nil {
		return err
	}
	if err := it.startControllers(ctx); err != nil {
		return err
	}
	if err := it.component(ctx, "kube-scheduler",
		"--kubeconfig="+it.kubeconfig("kube-scheduler"), "--leader-elect=false", "--secure-port=0",
	); err != nil {
		return err
	}
	return it.createDefaults(ctx)
}

// etcd asks nobody who they are, and whoever writes to it is the master of the cluster and of the machine: so it has a
// socket that only root may use. It is alone, but insists on an address for others like it.
func (it *cluster) startEtcd(ctx context.Context) error {
	nobody := "http://127.0.0.1:1"
	return it.component(ctx, "etcd",
		"--data-dir="+it.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+it.etcd(), "--advertise-client-urls="+nobody,
		"--listen-peer-urls=unix://"+it.path("p.sock"),
		"--initial-advertise-peer-urls="+nobody, "--initial-cluster=default="+nobody,
	)
}

func (it *cluster) etcd() string { return "unix://" + it.path("e.sock") }

func (it *cluster) startApiserver(ctx context.Context) error {
	flags := []string{
		"--etcd-servers=" + it.etcd(),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", it.ports["kube-apiserver"]),
		"--cert-dir=" + it.path("pki"), "--client-ca-file=" + it.path("pki", "ca.crt"),
		"--tls-cert-file=" + it.path("pki", "serving-apiserver.crt"),
		"--tls-private-key-file=" + it.path("pki", "serving-apiserver.key"),
		"--kubelet-certificate-authority=" + it.path("pki", "ca.crt"),
		"--kubelet-client-certificate=" + it.path("pki", "apiserver-to-kubelet.crt"),
		"--kubelet-client-key=" + it.path("pki", "apiserver-to-kubelet.key"),
		// Without it, logs and exec would look up the node's name.
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + it.path("pki", "service-accounts.key"),
		"--service-account-signing-key-file=" + it.path("pki", "service-accounts.key"),
		"--service-cluster-ip-range=" + it.services,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged", "--profiling=false",
	}
	if it.address == "" {
		flags = append(flags, "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
	} else {
		flags = append(flags, "--advertise-address="+it.address)
	}
	return it.component(ctx, "kube-apiserver", flags...)
}

func (it *cluster) startControllers(ctx context.Context) error {
	return it.component(ctx, "kube-controller-manager",
		"--kubeconfig="+it.kubeconfig("kube-controller-manager"), "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials", "--service-account-private-key-file="+it.path("pki", "service-accounts.key"),
		"--root-ca-file="+it.path("pki", "ca.crt"), "--controllers=*",
		"--enable-hostpath-provisioner=true",
		// What is measured on the cluster is the product, not how patiently a controller asks.
		"--kube-api-qps=400", "--kube-api-burst=800",
		"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10",
	)
}

func (it *cluster) connect(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", it.kubeconfig("admin"))
	if err != nil {
		return err
	}
	if it.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	return it.until(ctx, "kube-apiserver", "the apiserver is not ready", func() error {
		return it.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// startScripted plays nodes where there is none.
func (it *cluster) startScripted(ctx context.Context) error {
	if err := it.component(ctx, "scripted-kubelet",
		"--kubeconfig="+it.kubeconfig("scripted-kubelet"), fmt.Sprintf("--port=%d", it.ports["kubelet"]),
		"--client-ca="+it.path("pki", "ca.crt"),
		"--certificate="+it.path("pki", "serving-kubelet.crt"), "--key="+it.path("pki", "serving-kubelet.key"),
	); err != nil {
		return err
	}
	return it.untilNodesAreReady(ctx, "scripted-kubelet")
}
