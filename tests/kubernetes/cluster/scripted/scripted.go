// SPDX-License-Identifier: Apache-2.0

// Package scripted plays the nodes of a cluster that has none. Pods that the scheduler binds to them get the life that
// the name of their containers' image asks for, told to the apiserver in the words of a real kubelet: statuses,
// conditions, events and logs. Nothing is run, so a pod costs two requests and a few kilobytes, and a fault comes as
// often and exactly as a test wants it.
package scripted

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The kubelet of all its nodes.
type kubelet struct {
	client kubernetes.Interface
	events record.EventRecorder
	nodes  map[string]bool
	port   int

	lock    sync.Mutex
	players map[types.UID]*player
	given   int // addresses of pods so far
}

// Run plays until the process is told to end. Returns the exit code.
func Run() int {
	kubeconfig := flag.String("kubeconfig", "", "of who may do everything")
	port := flag.Int("port", 0, "for logs, on loopback")
	count := flag.Int("nodes", 3, "how many to play")
	serving := keys{}
	flag.StringVar(&serving.authority, "client-ca", "", "who signs the certificate of whoever asks for logs")
	flag.StringVar(&serving.certificate, "certificate", "", "of this server")
	flag.StringVar(&serving.key, "key", "", "of that certificate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig, *port, *count, serving); err != nil {
		fmt.Fprintf(os.Stderr, "scripted-kubelet: %v\n", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, kubeconfig string, port, count int, serving keys) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	it := &kubelet{client: client, nodes: map[string]bool{}, port: port, players: map[types.UID]*player{}}
	it.events = recorder(client)
	if err := it.serveLogs(ctx, serving); err != nil {
		return err
	}
	if err := it.playNodes(ctx, count); err != nil {
		return err
	}
	it.watchPods(ctx)
	<-ctx.Done()
	return nil
}

// recorder counts repeated events together, and forgets some of many, as a kubelet's does.
func recorder(client kubernetes.Interface) record.EventRecorder {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(legacyscheme.Scheme, core.EventSource{Component: "kubelet"})
}

func (it *kubelet) watchPods(ctx context.Context) {
	bound := fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	factory := informers.NewSharedInformerFactoryWithOptions(it.client, 0, informers.WithTweakListOptions(
		func(options *meta.ListOptions) { options.FieldSelector = bound },
	))
	// It can only fail after the informer has stopped.
	_, _ = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(seen any) { it.see(ctx, seen.(*core.Pod)) },
		UpdateFunc: func(_, seen any) { it.see(ctx, seen.(*core.Pod)) },
		DeleteFunc: func(seen any) { it.forget(seen) },
	})
	factory.Start(ctx.Done())
}

// see begins a pod's play, or its end. Everything between goes by itself.
func (it *kubelet) see(ctx context.Context, pod *core.Pod) {
	if !it.nodes[pod.Spec.NodeName] {
		return
	}
	it.lock.Lock()
	defer it.lock.Unlock()
	player := it.players[pod.UID]
	if player == nil {
		player = newPlayer(ctx, it, pod)
		it.players[pod.UID] = player
		if pod.DeletionTimestamp == nil && !hasEnded(pod) {
			it.given++
			player.address = fmt.Sprintf("10.64.%d.%d", it.given/250%250, it.given%250+1)
			go player.play()
		}
	}
	player.seen.Store(pod)
	if pod.DeletionTimestamp != nil && !player.ending {
		player.ending = true
		go player.end(ctx)
	}
}

func hasEnded(pod *core.Pod) bool {
	return pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
}

func (it *kubelet) forget(seen any) {
	if last, missed := seen.(cache.DeletedFinalStateUnknown); missed {
		seen = last.Obj
	}
	pod, ok := seen.(*core.Pod)
	if !ok {
		return
	}
	it.lock.Lock()
	defer it.lock.Unlock()
	if player := it.players[pod.UID]; player != nil {
		player.stop()
		delete(it.players, pod.UID)
	}
}
