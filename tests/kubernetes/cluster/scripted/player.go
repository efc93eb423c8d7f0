// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Plays one pod: its init containers one after the other, then its containers beside each other.
type player struct {
	kubelet *kubelet
	ctx     context.Context // ends with the pod's life
	stop    context.CancelFunc
	pod     *core.Pod // as it was bound
	seen    atomic.Pointer[core.Pod]
	address string
	ending  bool // under the kubelet's lock

	lock       sync.Mutex // all below
	init       []*container
	containers []*container
	fate       *fate
	written    core.PodStatus
	began      meta.Time
}

// A fate is what happens to a pod as a whole.
type fate struct {
	reason  string
	message string
}

func newPlayer(ctx context.Context, it *kubelet, pod *core.Pod) *player {
	made := &player{kubelet: it, pod: pod, written: pod.Status, began: meta.Now()}
	made.seen.Store(pod)
	made.ctx, made.stop = context.WithCancel(ctx)
	for i := range pod.Spec.InitContainers {
		made.init = append(made.init, newContainer(made, &pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		made.containers = append(made.containers, newContainer(made, &pod.Spec.Containers[i], false))
	}
	if len(made.init) > 0 {
		for _, each := range made.containers {
			each.state = waiting("PodInitializing", "")
		}
	}
	return made
}

func (it *player) all() []*container {
	return append(append([]*container{}, it.init...), it.containers...)
}

func (it *player) play() {
	for _, each := range it.all() {
		if part := wholes[each.behaviour]; part != nil {
			part(it, each)
			return
		}
	}
	it.change(func() {})
	for _, each := range it.init {
		if !it.initialize(each) {
			return
		}
	}
	it.change(func() {
		for _, each := range it.containers {
			each.state = waiting("ContainerCreating", "")
		}
	})
	for _, each := range it.containers {
		go each.live()
	}
}

// initialize is true when the next container may begin.
func (it *player) initialize(each *container) bool {
	if podutil.IsRestartableInitContainer(each.spec) {
		go each.live()
		return pause(it.ctx, 2*soon)
	}
	each.live()
	it.lock.Lock()
	defer it.lock.Unlock()
	return it.ctx.Err() == nil && each.state.Terminated != nil && each.state.Terminated.ExitCode == 0
}

// change alters what is known of the pod and tells it, in one.
func (it *player) change(alter func()) {
	it.lock.Lock()
	defer it.lock.Unlock()
	if it.ctx.Err() != nil {
		return
	}
	alter()
	it.tell(it.ctx)
}

// tell writes the status where it differs from the one that was written last. An apiserver that is away is asked until
// it is back, as a kubelet does.
func (it *player) tell(ctx context.Context) {
	status := it.status()
	if sameStatus(status, it.written) {
		return
	}
	for {
		err := it.patch(ctx, status)
		if err == nil {
			it.written = status
			return
		}
		if isFinal(err) || !pause(ctx, time.Second) {
			return
		}
		fmt.Fprintf(os.Stderr, "scripted-kubelet: %s/%s: %v\n", it.pod.Namespace, it.pod.Name, err)
	}
}

func (it *player) patch(ctx context.Context, status core.PodStatus) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": it.pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = it.kubelet.client.CoreV1().Pods(it.pod.Namespace).
		Patch(ctx, it.pod.Name, types.MergePatchType, body, meta.PatchOptions{}, "status")
	return err
}

// isFinal: the pod is gone, or another one has its name.
func isFinal(err error) bool {
	return errors.IsNotFound(err) || errors.IsConflict(err) || errors.IsInvalid(err)
}

// end plays the deletion: containers are told to stop, those that do not listen are killed when the grace is over, and
// the pod is taken off the apiserver.
func (it *player) end(ctx context.Context) {
	it.stop()
	pause(ctx, it.stopping())
	it.lock.Lock()
	for _, each := range it.all() {
		each.isStopped()
	}
	it.tell(ctx)
	it.lock.Unlock()
	now := int64(0)
	for {
		err := it.kubelet.client.CoreV1().Pods(it.pod.Namespace).Delete(ctx, it.pod.Name, meta.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: meta.NewUIDPreconditions(string(it.pod.UID)),
		})
		if err == nil || isFinal(err) || !pause(ctx, time.Second) {
			return
		}
	}
}

// stopping is how long it takes.
func (it *player) stopping() time.Duration {
	it.lock.Lock()
	defer it.lock.Unlock()
	grace := time.Duration(0)
	if seconds := it.seen.Load().DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	for _, each := range it.containers {
		if each.state.Running == nil {
			continue
		}
		each.event(core.EventTypeNormal, "Killing", "Stopping container "+each.spec.Name)
		if each.behaviour == "deaf" {
			return grace
		}
	}
	return min(grace, soon)
}
