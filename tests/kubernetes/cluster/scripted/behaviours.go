// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"fmt"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
)

// How a container lives, by the name of its image: `scripted/NAME:ARGUMENT`. README.md lists them for whoever writes a
// test. Each returns when the container has ended for good.
var behaviours map[string]func(*container)

// What happens to the pod as a whole, because one of its containers has this name.
var wholes = map[string]func(*player, *container){
	"mount-fails":   mountFails,
	"sandbox-fails": sandboxFails,
	"evicted":       evicted,
	"rejected":      rejected,
}

func init() {
	behaviours = map[string]func(*container){
		"":                 wellBehaved,
		"ready":            func(it *container) { it.becomesReady(it.duration(soon)) },
		"deaf":             func(it *container) { it.becomesReady(soon) },
		"job":              func(it *container) { it.crashes(it.number(0), "", -1) },
		"crash":            func(it *container) { it.crashes(it.number(1), "", -1) },
		"oom":              func(it *container) { it.crashes(137, "OOMKilled", -1) },
		"crash-then-ready": func(it *container) { it.crashes(1, "", int(it.number(1))) },
		"pull-not-found":   func(it *container) { it.pullFails(notFound, -1) },
		"pull-denied":      func(it *container) { it.pullFails(denied, -1) },
		"pull-unreachable": func(it *container) { it.pullFails(unreachable, -1) },
		"pull-then-ready":  func(it *container) { it.pullFails(unreachable, int(it.number(1))) },
		"invalid-image":    invalidImage,
		"config-error":     configError,
		"create-error":     createError,
		"run-error":        runError,
		"never-ready":      neverReady,
		"never-live":       neverLive,
		"flaps":            flaps,
		"init-waits":       func(it *container) { it.starts(soon, false) },
		"waits":            func(it *container) { it.starts(soon, false) },
	}
}

func unknown(it *container) {
	it.wait("CreateContainerError", fmt.Sprintf("there is no scripted behaviour %q", it.behaviour))
}

// wellBehaved is every image that says nothing: a program that is ready at once, or one that ends at once where its pod
// is made to end.
func wellBehaved(it *container) {
	if it.mayEnd() {
		it.crashes(0, "", -1)
	} else {
		it.becomesReady(soon)
	}
}

func (it *container) mayEnd() bool {
	if it.spec.RestartPolicy != nil {
		return false
	}
	return it.isInit || it.player.pod.Spec.RestartPolicy != core.RestartPolicyAlways
}

func (it *container) number(usual int32) int32 {
	if parsed, err := strconv.ParseInt(it.argument, 10, 32); err == nil {
		return int32(parsed)
	}
	return usual
}

func (it *container) duration(usual time.Duration) time.Duration {
	if parsed, err := time.ParseDuration(it.argument); err == nil {
		return parsed
	}
	return usual
}

func (it *container) starts(after time.Duration, ready bool) {
	if pause(it.player.ctx, after) {
		it.run(ready)
	}
}

func (it *container) becomesReady(after time.Duration) { it.starts(after, true) }

// crashes ends with the code after each start, that many times or for ever.
func (it *container) crashes(code int32, reason string, times int) {
	for ; times != 0; times-- {
		it.starts(soon, it.isLong())
		if !pause(it.player.ctx, soon) {
			return
		}
		it.player.change(func() {
			if code != 0 {
				it.say("fatal: %s cannot go on", it.spec.Name)
			}
			it.terminate(code, reason, "")
		})
		if !it.startsAgain() {
			return
		}
	}
	it.becomesReady(soon)
}

// isLong: whether it counts as ready as soon as it runs, having no probe.
func (it *container) isLong() bool { return it.spec.ReadinessProbe == nil && !it.isInit }

// ---- images ----------------------------------------------------------------------------------------------------------

const (
	notFound    = "rpc error: code = NotFound desc = failed to pull and unpack image %[1]q: failed to resolve reference %[1]q: %[1]s: not found"
	denied      = "failed to pull and unpack image %[1]q: failed to resolve reference %[1]q: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
	unreachable = "failed to pull and unpack image %[1]q: failed to resolve reference %[1]q: failed to do request: Head \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid: no such host"
)

// pullFails that many times or for ever.
func (it *container) pullFails(format string, times int) {
	why := fmt.Sprintf(format, imageName(it.spec.Image))
	for told := 10 * time.Second; times != 0; times, told = times-1, min(2*told, 5*time.Minute) {
		it.event(core.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", it.spec.Image))
		if !pause(it.player.ctx, soon) {
			return
		}
		it.event(core.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %s", it.spec.Image, why))
		it.event(core.EventTypeWarning, "Failed", "Error: ErrImagePull")
		it.wait("ErrImagePull", why)
		if !pause(it.player.ctx, soon) {
			return
		}
		backOff := fmt.Sprintf("Back-off pulling image %q", it.spec.Image)
		it.event(core.EventTypeNormal, "BackOff", backOff)
		it.event(core.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
		it.wait("ImagePullBackOff", backOff+": ErrImagePull: "+why)
		if !pause(it.player.ctx, told/hurry) {
			return
		}
	}
	it.becomesReady(soon)
}

func invalidImage(it *container) {
	why := fmt.Sprintf("Failed to apply default image tag %[1]q: couldn't parse image name %[1]q: invalid reference format", it.spec.Image)
	it.event(core.EventTypeWarning, "InspectFailed", why)
	it.event(core.EventTypeWarning, "Failed", "Error: InvalidImageName")
	it.wait("InvalidImageName", why)
}

// ---- containers that cannot be made ----------------------------------------------------------------------------------

func configError(it *container) {
	it.cannotBeMade("CreateContainerConfigError", `secret "missing" not found`)
}

func createError(it *container) {
	it.cannotBeMade("CreateContainerError", "failed to generate container spec: failed to generate spec: no command specified")
}

// cannotBeMade is tried again and again, and said each time.
func (it *container) cannotBeMade(reason, why string) {
	for ok := pause(it.player.ctx, soon); ok; ok = pause(it.player.ctx, 2*time.Second) {
		it.event(core.EventTypeWarning, "Failed", "Error: "+why)
		it.wait(reason, why)
	}
}

// runError is a program that is not in the image.
func runError(it *container) {
	why := "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: " +
		`unable to start container process: exec: "/missing": stat /missing: no such file or directory: unknown`
	for pause(it.player.ctx, soon) {
		it.event(core.EventTypeWarning, "Failed", "Error: "+why)
		it.ends(128, "StartError", why)
		if !it.startsAgain() {
			return
		}
	}
}

// ---- probes ----------------------------------------------------------------------------------------------------------

func (it *container) unhealthy(probe string) {
	it.event(core.EventTypeWarning, "Unhealthy", probe+" probe failed: HTTP probe failed with statuscode: 503")
}

func neverReady(it *container) {
	it.starts(soon, false)
	for pause(it.player.ctx, time.Second) {
		it.unhealthy("Readiness")
	}
}

func neverLive(it *container) {
	for {
		it.starts(soon, true)
		if !pause(it.player.ctx, time.Second) {
			return
		}
		it.unhealthy("Liveness")
		it.event(core.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed liveness probe, will be restarted", it.spec.Name))
		it.ends(137, "", "")
		if !it.startsAgain() {
			return
		}
	}
}

// flaps is ready and is not, as long as the argument says.
func flaps(it *container) {
	it.becomesReady(soon)
	for ready := false; pause(it.player.ctx, it.duration(time.Second)); ready = !ready {
		if !ready {
			it.unhealthy("Readiness")
		}
		it.becomes(ready)
	}
}

// ---- the pod as a whole ----------------------------------------------------------------------------------------------

func mountFails(it *player, _ *container) {
	it.cannotBegin("FailedMount", `MountVolume.SetUp failed for volume "config" : configmap "missing" not found`)
}

func sandboxFails(it *player, _ *container) {
	it.cannotBegin("FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = "+
		`failed to setup network for sandbox: plugin type="bridge" failed (add): no IP addresses available in range set`)
}

func (it *player) cannotBegin(reason, why string) {
	it.change(func() {})
	for ok := pause(it.ctx, soon); ok; ok = pause(it.ctx, 2*time.Second) {
		it.kubelet.events.Event(it.pod, core.EventTypeWarning, reason, why)
	}
}

// evicted after it has run as long as the argument says.
func evicted(it *player, each *container) {
	each.becomesReady(soon)
	if !pause(it.ctx, each.duration(soon)) {
		return
	}
	it.change(func() {
		it.fate = &fate{"Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "}
		each.terminate(137, "Error", "")
	})
	it.kubelet.events.Event(it.pod, core.EventTypeWarning, "Evicted", it.fate.message)
}

func rejected(it *player, _ *container) {
	why := "Node didn't have enough resource: cpu, requested: 1000, used: 0, capacity: 100"
	it.kubelet.events.Event(it.pod, core.EventTypeWarning, "OutOfcpu", why)
	it.change(func() { it.fate = &fate{"OutOfcpu", "Pod was rejected: " + why} })
}
