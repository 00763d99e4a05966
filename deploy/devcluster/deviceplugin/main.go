// Command deviceplugin offers a kubelet devices that are not there, so that pods which ask for them run on a real node.
//
// It speaks the kubelet's device plugin API and nothing else; what a container gets of a device is its name, in the
// variable that NVIDIA's runtime reads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	lookEvery       = 100 * time.Millisecond
	registerTimeout = 2 * time.Second
	endpoint        = "berth-deviceplugin.sock"
)

func main() {
	resource := flag.String("resource", "nvidia.com/gpu", "the resource to offer")
	count := flag.Int("count", 1, "how many of it")
	folder := flag.String("folder", api.DevicePluginPath, "where the kubelet looks for plugins")
	flag.Parse()
	plugin := &plugin{resource: *resource, devices: devices(*count)}
	for {
		if err := plugin.serve(*folder); err != nil {
			log.Print(err)
		}
		time.Sleep(lookEvery)
	}
}

func devices(count int) []*api.Device {
	all := make([]*api.Device, count)
	for i := range all {
		all[i] = &api.Device{ID: fmt.Sprintf("GPU-00000000-0000-0000-0000-%012d", i), Health: api.Healthy}
	}
	return all
}

type plugin struct {
	api.UnimplementedDevicePluginServer
	resource string
	devices  []*api.Device
}

// serve registers with the kubelet and returns when it has forgotten us: a kubelet that starts empties its folder.
func (p *plugin) serve(folder string) error {
	socket := filepath.Join(folder, endpoint)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	if err := p.register(filepath.Join(folder, filepath.Base(api.KubeletSocket))); err != nil {
		return err
	}
	log.Printf("offering %d of %s", len(p.devices), p.resource)
	for exists(socket) {
		time.Sleep(lookEvery)
	}
	return nil
}

func (p *plugin) register(kubelet string) error {
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	within, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: p.resource}
	_, err = api.NewRegistrationClient(connection).Register(within, request)
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch names all devices once: they never change.
func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (p *plugin) Allocate(_ context.Context, asked *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, container := range asked.ContainerRequests {
		visible := map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")}
		answer.ContainerResponses = append(answer.ContainerResponses, &api.ContainerAllocateResponse{Envs: visible})
	}
	return answer, nil
}
