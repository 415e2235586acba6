// SPDX-License-Identifier: Apache-2.0

package whodnsreceiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.uber.org/zap"
)

type whodnsReceiver struct {
	cfg     *Config
	set     receiver.Settings
	log     *zap.Logger
	otlp    receiver.Factory
	otlpSet receiver.Settings
	otlpCfg *otlpreceiver.Config
	inner   []component.Component
	gate    *gate

	startOnce sync.Once
	startErr  error
	stopOnce  sync.Once
	stopErr   error

	host       component.Host
	statusMu   sync.Mutex
	last       componentstatus.Status
	stop       chan struct{}
	background sync.WaitGroup
	agent      *supervisor
	// Unix ns of the last request of whodns.
	lastData atomic.Int64
	warned   atomic.Bool
}

func newReceiver(set receiver.Settings, cfg *Config) (*whodnsReceiver, error) {
	factory := otlpreceiver.NewFactory()
	otlpCfg := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	grpc := otlpCfg.Protocols.GRPC.GetOrInsertDefault()
	grpc.NetAddr = confignet.AddrConfig{Endpoint: cfg.Endpoint, Transport: confignet.TransportTypeUnix}
	otlpCfg.Protocols.HTTP = configoptional.None[otlpreceiver.HTTPConfig]()
	r := &whodnsReceiver{
		cfg: cfg, set: set, log: set.Logger, otlp: factory, otlpCfg: otlpCfg, stop: make(chan struct{}),
	}
	r.otlpSet = set
	r.otlpSet.ID = component.NewIDWithName(factory.Type(), set.ID.String())
	var err error
	r.gate, err = newGate(set.TelemetrySettings, r.seen)
	return r, err
}

func (r *whodnsReceiver) addLogs(ctx context.Context, next consumer.Logs) error {
	logs, err := r.otlp.CreateLogs(ctx, r.otlpSet, r.otlpCfg, r.gate.logs(next))
	r.inner = append(r.inner, logs)
	return err
}

func (r *whodnsReceiver) addMetrics(ctx context.Context, next consumer.Metrics) error {
	metrics, err := r.otlp.CreateMetrics(ctx, r.otlpSet, r.otlpCfg, r.gate.metrics(next))
	r.inner = append(r.inner, metrics)
	return err
}

func (r *whodnsReceiver) addTraces(ctx context.Context, next consumer.Traces) error {
	traces, err := r.otlp.CreateTraces(ctx, r.otlpSet, r.otlpCfg, r.gate.traces(next))
	r.inner = append(r.inner, traces)
	return err
}

// Start opens the socket, then starts the agent in ModeSupervise. Called once for each pipeline.
func (r *whodnsReceiver) Start(ctx context.Context, host component.Host) error {
	r.startOnce.Do(func() { r.startErr = r.start(ctx, host) })
	return r.startErr
}

func (r *whodnsReceiver) start(ctx context.Context, host component.Host) error {
	r.host = host
	mode, err := r.cfg.socketMode()
	if err != nil {
		return err
	}
	if err := makeWay(r.cfg.Endpoint); err != nil {
		return err
	}
	for _, inner := range r.inner {
		if err := inner.Start(ctx, host); err != nil {
			return err
		}
	}
	if err := os.Chmod(r.cfg.Endpoint, mode); err != nil {
		return errors.Join(err, r.stopInner(ctx))
	}
	r.lastData.Store(time.Now().UnixNano())
	r.background.Add(1)
	go r.watchSilence()
	if r.cfg.Mode == ModeSupervise {
		r.agent = newSupervisor(r.cfg, r.log, r.report)
		r.agent.start()
	}
	return nil
}

// Shutdown ends the agent first, which delivers what it has, and closes the socket then.
func (r *whodnsReceiver) Shutdown(ctx context.Context) error {
	r.stopOnce.Do(func() {
		close(r.stop)
		if r.agent != nil {
			r.agent.shutdown()
		}
		r.background.Wait()
		r.stopErr = r.stopInner(ctx)
		forget(r.cfg)
	})
	return r.stopErr
}

func (r *whodnsReceiver) stopInner(ctx context.Context) error {
	var errs []error
	for _, inner := range r.inner {
		errs = append(errs, inner.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// seen is called with each request: whether whodns sent it.
func (r *whodnsReceiver) seen(isWhodns bool) {
	if !isWhodns {
		if r.warned.CompareAndSwap(false, true) {
			r.log.Warn("another program than whodns sends to the socket", zap.String("endpoint", r.cfg.Endpoint))
		}
		return
	}
	r.lastData.Store(time.Now().UnixNano())
	r.report(componentstatus.NewEvent(componentstatus.StatusOK))
}

func (r *whodnsReceiver) watchSilence() {
	defer r.background.Done()
	ticker := time.NewTicker(max(r.cfg.Silence/10, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		}
		if time.Since(time.Unix(0, r.lastData.Load())) > r.cfg.Silence {
			r.report(componentstatus.NewRecoverableErrorEvent(
				fmt.Errorf("nothing from whodns on %s for %s", r.cfg.Endpoint, r.cfg.Silence)))
		}
	}
}

// report passes changes on. A permanent or fatal error stays.
func (r *whodnsReceiver) report(event *componentstatus.Event) {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	if event.Status() == r.last || r.last == componentstatus.StatusPermanentError || r.last == componentstatus.StatusFatalError {
		return
	}
	r.last = event.Status()
	if event.Err() != nil {
		r.log.Warn("whodns", zap.Stringer("status", event.Status()), zap.Error(event.Err()))
	}
	componentstatus.ReportStatus(r.host, event)
}

// makeWay removes the socket that a killed Collector left behind. It never takes one on which another program listens, and
// never removes what is no socket.
func makeWay(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there and no socket", path)
	}
	connection, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = connection.Close()
		return fmt.Errorf("another program listens on %s", path)
	}
	return os.Remove(path)
}
