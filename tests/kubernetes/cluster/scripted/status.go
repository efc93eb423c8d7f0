// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	conditions "k8s.io/kubernetes/pkg/kubelet/status"
)

// status is what a kubelet would say of the containers as they are. The conditions are a real kubelet's own work.
func (it *player) status() core.PodStatus {
	if it.fate != nil {
		return it.rejected()
	}
	status := core.PodStatus{
		HostIP:                "127.0.0.1",
		HostIPs:               []core.HostIP{{IP: "127.0.0.1"}},
		StartTime:             &it.began,
		QOSClass:              it.seen.Load().Status.QOSClass,
		InitContainerStatuses: statuses(it.init),
		ContainerStatuses:     statuses(it.containers),
	}
	if it.hasSandbox() {
		status.PodIP, status.PodIPs = it.address, []core.PodIP{{IP: it.address}}
	}
	all := append(append([]core.ContainerStatus{}, status.InitContainerStatuses...), status.ContainerStatuses...)
	status.Phase = it.phase()
	status.Conditions = it.conditions(all, status.Phase)
	return status
}

func statuses(containers []*container) []core.ContainerStatus {
	var all []core.ContainerStatus
	for _, each := range containers {
		all = append(all, each.status())
	}
	return all
}

// hasSandbox: whether there is a network that containers can be started in.
func (it *player) hasSandbox() bool {
	for _, each := range it.all() {
		if each.state.Waiting == nil || each.state.Waiting.Reason != "ContainerCreating" && each.state.Waiting.Reason != "PodInitializing" {
			return true
		}
	}
	return false
}

func (it *player) rejected() core.PodStatus {
	status := core.PodStatus{
		Phase: core.PodFailed, Reason: it.fate.reason, Message: it.fate.message, StartTime: &it.began,
		QOSClass: it.seen.Load().Status.QOSClass,
	}
	if it.fate.reason == "Evicted" {
		status.ContainerStatuses = statuses(it.containers)
	}
	status.Conditions = it.conditions(status.ContainerStatuses, core.PodFailed)
	if it.fate.reason == "Evicted" {
		status.Conditions = append(status.Conditions, core.PodCondition{
			Type: core.DisruptionTarget, Status: core.ConditionTrue, LastTransitionTime: meta.Now(),
			Reason: core.PodReasonTerminationByKubelet, Message: it.fate.message,
		})
	}
	return status
}

// phase follows the kubelet's getPhase, which it keeps to itself.
func (it *player) phase() core.PodPhase {
	for _, each := range it.init {
		if podutil.IsRestartableInitContainer(each.spec) || each.succeeded() {
			continue
		}
		if each.state.Terminated != nil && it.pod.Spec.RestartPolicy == core.RestartPolicyNever {
			return core.PodFailed
		}
		return core.PodPending
	}
	waits, ended, failed := 0, 0, 0
	for _, each := range it.containers {
		switch {
		case each.state.Waiting != nil && each.last.Terminated == nil:
			waits++
		case each.state.Terminated != nil:
			ended++
			if each.state.Terminated.ExitCode != 0 {
				failed++
			}
		}
	}
	switch {
	case waits > 0:
		return core.PodPending
	case ended < len(it.containers) || it.pod.Spec.RestartPolicy == core.RestartPolicyAlways && !it.stopped():
		return core.PodRunning
	case failed > 0 && (it.pod.Spec.RestartPolicy == core.RestartPolicyNever || it.stopped()):
		return core.PodFailed
	case failed > 0:
		return core.PodRunning
	default:
		return core.PodSucceeded
	}
}

func (it *player) stopped() bool { return it.ctx.Err() != nil }

func (it *player) conditions(all []core.ContainerStatus, phase core.PodPhase) []core.PodCondition {
	old := &it.written
	sandbox := core.ConditionFalse
	if it.hasSandbox() && !it.stopped() {
		sandbox = core.ConditionTrue
	}
	made := []core.PodCondition{
		{Type: core.PodReadyToStartContainers, Status: sandbox},
		conditions.GeneratePodInitializedCondition(it.seen.Load(), old, all, phase),
		conditions.GeneratePodReadyCondition(it.seen.Load(), old, it.seen.Load().Status.Conditions, all, phase),
		conditions.GenerateContainersReadyCondition(it.seen.Load(), old, all, phase),
	}
	// Those of the scheduler, of an eviction and of readiness gates stay.
	for _, other := range it.seen.Load().Status.Conditions {
		if _, ours := podutil.GetPodConditionFromList(made, other.Type); ours == nil {
			made = append(made, other)
		}
	}
	for i := range made {
		made[i].LastTransitionTime = meta.Now()
		_, before := podutil.GetPodConditionFromList(old.Conditions, made[i].Type)
		if before != nil && before.Status == made[i].Status {
			made[i].LastTransitionTime = before.LastTransitionTime
		}
	}
	return made
}

func sameStatus(one, other core.PodStatus) bool {
	return equality.Semantic.DeepEqual(one, other)
}
