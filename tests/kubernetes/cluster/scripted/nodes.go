// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/version"
)

const (
	leaseSeconds = 40
	renewEvery   = 10 * time.Second
)

// playNodes registers them, and renews what says that they are alive.
func (it *kubelet) playNodes(ctx context.Context, count int) error {
	for number := range count {
		name := fmt.Sprintf("scripted-%d", number)
		it.nodes[name] = true
		if err := it.register(ctx, name); err != nil {
			return err
		}
		go it.renew(ctx, name)
	}
	return nil
}

func (it *kubelet) register(ctx context.Context, name string) error {
	node := &core.Node{ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{
		core.LabelHostname: name, core.LabelOSStable: "linux", core.LabelArchStable: runtime.GOARCH,
	}}}
	if _, err := it.client.CoreV1().Nodes().Create(ctx, node, meta.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	return it.report(ctx, name)
}

func (it *kubelet) report(ctx context.Context, name string) error {
	body, err := json.Marshal(map[string]any{"status": it.nodeStatus(name)})
	if err != nil {
		return err
	}
	_, err = it.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, body, meta.PatchOptions{}, "status")
	return err
}

// nodeStatus is that of a machine larger than any test, but not without end: pods that ask for more stay unscheduled.
func (it *kubelet) nodeStatus(name string) core.NodeStatus {
	size := core.ResourceList{
		core.ResourceCPU:              resource.MustParse("1000"),
		core.ResourceMemory:           resource.MustParse("4Ti"),
		core.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		core.ResourcePods:             resource.MustParse("2000"),
	}
	return core.NodeStatus{
		Capacity:    size,
		Allocatable: size,
		Conditions: []core.NodeCondition{
			nodeCondition(core.NodeMemoryPressure, core.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
			nodeCondition(core.NodeDiskPressure, core.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
			nodeCondition(core.NodePIDPressure, core.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			nodeCondition(core.NodeReady, core.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
		},
		Addresses: []core.NodeAddress{
			{Type: core.NodeInternalIP, Address: "127.0.0.1"},
			{Type: core.NodeHostName, Address: name},
		},
		DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: int32(it.port)}},
		NodeInfo: core.NodeSystemInfo{
			OperatingSystem: "linux", Architecture: runtime.GOARCH, OSImage: "scripted",
			KubeletVersion: version.Get().GitVersion, ContainerRuntimeVersion: "scripted://1.0.0",
		},
	}
}

func nodeCondition(kind core.NodeConditionType, status core.ConditionStatus, reason, message string) core.NodeCondition {
	now := meta.Now()
	return core.NodeCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now,
	}
}

// renew goes on where the apiserver was away, and registers a node anew that somebody deleted.
func (it *kubelet) renew(ctx context.Context, name string) {
	for pause(ctx, renewEvery) {
		err := it.renewLease(ctx, name)
		if err == nil {
			err = it.report(ctx, name)
		}
		if errors.IsNotFound(err) {
			err = it.register(ctx, name)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "scripted-kubelet: %s: %v\n", name, err)
		}
	}
}

func (it *kubelet) renewLease(ctx context.Context, name string) error {
	leases := it.client.CoordinationV1().Leases(core.NamespaceNodeLease)
	now, seconds := meta.NowMicro(), int32(leaseSeconds)
	lease, err := leases.Get(ctx, name, meta.GetOptions{})
	if errors.IsNotFound(err) {
		lease = &coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: core.NamespaceNodeLease}}
		lease.Spec = coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}
		_, err = leases.Create(ctx, lease, meta.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, meta.UpdateOptions{})
	return err
}

// pause is false where the context ended meanwhile.
func pause(ctx context.Context, long time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(long):
		return true
	}
}
