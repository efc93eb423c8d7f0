// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"fmt"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	rbac "k8s.io/api/rbac/v1"
	storage "k8s.io/api/storage/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// createDefaults makes what every real cluster brings and no component creates.
func (it *cluster) createDefaults(ctx context.Context) error {
	class := &storage.StorageClass{
		ObjectMeta: meta.ObjectMeta{
			Name:        "standard",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		// The controller-manager's own: a folder of the machine for each claim.
		Provisioner: "kubernetes.io/host-path",
	}
	if _, err := it.client.StorageV1().StorageClasses().Create(ctx, class, meta.CreateOptions{}); err != nil {
		return err
	}
	if it.address == "" {
		return nil
	}
	if err := it.allowNames(ctx); err != nil {
		return err
	}
	return it.serveNames(ctx)
}

func (it *cluster) allowNames(ctx context.Context) error {
	role := &rbac.ClusterRole{
		ObjectMeta: meta.ObjectMeta{Name: "system:coredns"},
		Rules: []rbac.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"services", "pods", "namespaces"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
		},
	}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "system:coredns"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "system:coredns"},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: "User", Name: "system:coredns"}},
	}
	if _, err := it.client.RbacV1().ClusterRoles().Create(ctx, role, meta.CreateOptions{}); err != nil {
		return err
	}
	_, err := it.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{})
	return err
}

// serveNames gives the name server the address that every pod is told.
func (it *cluster) serveNames(ctx context.Context) error {
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: "kube-dns", Namespace: "kube-system"},
		Spec: core.ServiceSpec{
			ClusterIP: it.dns,
			Ports: []core.ServicePort{
				{Name: "dns", Port: 53, Protocol: core.ProtocolUDP, TargetPort: intstr.FromInt32(int32(it.ports["coredns"]))},
				{Name: "dns-tcp", Port: 53, Protocol: core.ProtocolTCP, TargetPort: intstr.FromInt32(int32(it.ports["coredns"]))},
			},
		},
	}
	if _, err := it.client.CoreV1().Services("kube-system").Create(ctx, service, meta.CreateOptions{}); err != nil {
		return err
	}
	slice := &discovery.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{
			Name: "kube-dns", Namespace: "kube-system", Labels: map[string]string{discovery.LabelServiceName: "kube-dns"},
		},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints:   []discovery.Endpoint{{Addresses: []string{it.address}}},
		Ports: []discovery.EndpointPort{
			{Name: of("dns"), Port: of(int32(it.ports["coredns"])), Protocol: of(core.ProtocolUDP)},
			{Name: of("dns-tcp"), Port: of(int32(it.ports["coredns"])), Protocol: of(core.ProtocolTCP)},
		},
	}
	_, err := it.client.DiscoveryV1().EndpointSlices("kube-system").Create(ctx, slice, meta.CreateOptions{})
	return err
}

// untilNodesAreReady also waits for what a pod needs before it can be made: the account that it runs as.
func (it *cluster) untilNodesAreReady(ctx context.Context, log string) error {
	if err := it.until(ctx, log, "no node is ready", func() error { return it.unready(ctx) }); err != nil {
		return err
	}
	return it.until(ctx, "kube-controller-manager", "there is no service account in `default`", func() error {
		_, err := it.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
		return err
	})
}

func (it *cluster) unready(ctx context.Context) error {
	nodes, err := it.client.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	if len(nodes.Items) == 0 {
		return errors.New("none is registered")
	}
	for _, node := range nodes.Items {
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("%s has the taint %s", node.Name, node.Spec.Taints[0].Key)
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == core.NodeReady && condition.Status != core.ConditionTrue {
				return fmt.Errorf("%s: %s", node.Name, condition.Message)
			}
		}
	}
	return nil
}

func of[T any](value T) *T { return &value }
