// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	refs "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/util/format"
)

const (
	// How long containers take to start, to end, to be pulled.
	soon = 200 * time.Millisecond
	// A real kubelet waits 10 s before it starts a container again, then twice as long each time, at most five
	// minutes. It is said so here, and done this many times as fast.
	hurry = 20
)

// One container, and what has become of it.
type container struct {
	player    *player
	spec      *core.Container
	isInit    bool
	behaviour string
	argument  string

	state    core.ContainerState
	last     core.ContainerState
	ready    bool
	started  bool
	restarts int32
	log      []line
	previous []line
}

func newContainer(player *player, spec *core.Container, isInit bool) *container {
	behaviour, argument := behaviourOf(spec.Image)
	return &container{
		player: player, spec: spec, isInit: isInit, behaviour: behaviour, argument: argument, state: waiting("ContainerCreating", ""),
	}
}

// behaviourOf reads `…/scripted/NAME:ARGUMENT`; any other image is well behaved.
func behaviourOf(image string) (behaviour, argument string) {
	_, name, found := strings.Cut("/"+image, "/scripted/")
	if !found {
		return "", ""
	}
	name, _, _ = strings.Cut(name, "@")
	behaviour, argument, _ = strings.Cut(name, ":")
	return behaviour, argument
}

// live plays until the container has ended for good or the pod does.
func (it *container) live() {
	play := behaviours[it.behaviour]
	if play == nil {
		play = unknown
	}
	play(it)
}

func waiting(reason, message string) core.ContainerState {
	return core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}}
}

func (it *container) wait(reason, message string) {
	it.player.change(func() { it.state, it.ready, it.started = waiting(reason, message), false, false })
}

// run starts it, and makes it Ready where *ready* says so.
func (it *container) run(ready bool) {
	it.player.change(func() {
		it.state = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: meta.Now()}}
		it.ready, it.started = ready, true
		it.previous, it.log = it.log, nil
		it.say("%s starts", it.spec.Name)
		if ready {
			it.say("%s is ready", it.spec.Name)
		}
	})
}

func (it *container) becomes(ready bool) { it.player.change(func() { it.ready = ready }) }

// ends with an exit code; an empty reason is the usual one.
func (it *container) ends(code int32, reason, message string) {
	it.player.change(func() { it.terminate(code, reason, message) })
}

func (it *container) terminate(code int32, reason, message string) {
	if reason == "" {
		reason = map[bool]string{true: "Completed", false: "Error"}[code == 0]
	}
	begun := meta.Now()
	if it.state.Running != nil {
		begun = it.state.Running.StartedAt
	}
	it.state = core.ContainerState{Terminated: &core.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, StartedAt: begun, FinishedAt: meta.Now(), ContainerID: it.id(),
	}}
	it.ready, it.started = code == 0 && it.isInit, false
}

// startsAgain waits as long as the back-off says, and is false where the pod's restart policy wants no more.
func (it *container) startsAgain() bool {
	if it.state.Terminated == nil {
		return false // the pod was deleted meanwhile
	}
	policy := it.player.pod.Spec.RestartPolicy
	if it.spec.RestartPolicy != nil {
		policy = core.RestartPolicyAlways
	} else if it.isInit && policy == core.RestartPolicyAlways {
		policy = core.RestartPolicyOnFailure
	}
	code := it.state.Terminated.ExitCode
	if policy == core.RestartPolicyNever || policy == core.RestartPolicyOnFailure && code == 0 {
		return false
	}
	// The first restart comes at once.
	if it.restarts > 0 {
		if !pause(it.player.ctx, soon) {
			return false
		}
		told := min(10*time.Second<<min(it.restarts-1, 10), 5*time.Minute)
		it.event(core.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s", it.spec.Name, it.pod()))
		it.player.change(func() {
			it.last = it.state
			it.state = waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", told, it.spec.Name, it.pod()))
		})
		if !pause(it.player.ctx, told/hurry) {
			return false
		}
	}
	it.player.lock.Lock()
	defer it.player.lock.Unlock()
	if it.state.Terminated != nil {
		it.last = it.state
	}
	it.restarts++
	return it.player.ctx.Err() == nil
}

// isStopped: what a deletion makes of it.
func (it *container) isStopped() {
	if it.state.Running == nil {
		return
	}
	if it.behaviour == "deaf" {
		it.terminate(137, "Error", "")
	} else {
		it.say("%s was told to stop", it.spec.Name)
		it.terminate(0, "", "")
	}
	it.ready = false
}

func (it *container) succeeded() bool {
	return it.state.Terminated != nil && it.state.Terminated.ExitCode == 0
}

func (it *container) status() core.ContainerStatus {
	status := core.ContainerStatus{
		Name: it.spec.Name, Image: imageName(it.spec.Image), State: it.state, LastTerminationState: it.last,
		Ready: it.ready, Started: &it.started, RestartCount: it.restarts,
	}
	if it.state.Running != nil || it.state.Terminated != nil || it.last.Terminated != nil {
		status.ContainerID, status.ImageID = it.id(), imageID(it.spec.Image)
	}
	return status
}

// id is another one after each start.
func (it *container) id() string {
	seed := fmt.Sprintf("%s/%s/%d", it.player.pod.UID, it.spec.Name, it.restarts)
	return fmt.Sprintf("containerd://%x", sha256.Sum256([]byte(seed)))
}

// imageName is how containerd calls an image.
func imageName(image string) string {
	first, _, nested := strings.Cut(image, "/")
	switch {
	case !nested:
		image = "docker.io/library/" + image
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		image = "docker.io/" + image
	}
	if !strings.Contains(image[strings.LastIndex(image, "/"):], ":") {
		image += ":latest"
	}
	return image
}

// imageID is a digest, always the same for a name.
func imageID(image string) string {
	name := imageName(image)
	if strings.Contains(name, "@") {
		return name
	}
	return fmt.Sprintf("%s@sha256:%x", name[:strings.LastIndex(name, ":")], sha256.Sum256([]byte(name)))
}

func (it *container) pod() string { return format.Pod(it.player.pod) }

// event tells one of the container, which is named by its place in the pod.
func (it *container) event(kind, reason, message string) {
	ref, err := refs.GenerateContainerRef(it.player.pod, it.spec)
	if err == nil {
		it.player.kubelet.events.Event(ref, kind, reason, message)
	}
}
