// SPDX-License-Identifier: Apache-2.0

package whodnsreceiver

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
)

// Type is the receiver's name in a configuration.
var Type = component.MustNewType("whodns")

// The pipelines of one configuration share one receiver, and so one socket and one agent.
var (
	sharedMutex sync.Mutex
	shared      = map[*Config]*whodnsReceiver{}
)

// NewFactory is what the Collector Builder calls.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		Type,
		func() component.Config { return defaultConfig() },
		receiver.WithLogs(createLogs, component.StabilityLevelAlpha),
		receiver.WithMetrics(createMetrics, component.StabilityLevelAlpha),
		receiver.WithTraces(createTraces, component.StabilityLevelAlpha),
	)
}

func createLogs(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
	r, err := receiverOf(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return r, r.addLogs(ctx, next)
}

func createMetrics(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	r, err := receiverOf(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return r, r.addMetrics(ctx, next)
}

func createTraces(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
	r, err := receiverOf(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return r, r.addTraces(ctx, next)
}

func receiverOf(set receiver.Settings, cfg *Config) (*whodnsReceiver, error) {
	sharedMutex.Lock()
	defer sharedMutex.Unlock()
	if r, ok := shared[cfg]; ok {
		return r, nil
	}
	r, err := newReceiver(set, cfg)
	if err == nil {
		shared[cfg] = r
	}
	return r, err
}

func forget(cfg *Config) {
	sharedMutex.Lock()
	defer sharedMutex.Unlock()
	delete(shared, cfg)
}
