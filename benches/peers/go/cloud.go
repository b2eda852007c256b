package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"bench.invalid/peer/api"
)

// cloud makes the one call. Its token is given, so that it neither signs nor reads a Secret.
type cloud struct {
	client *http.Client
	url    string
	token  string
	pace   *rate.Limiter
}

func newCloud(callsPerSecond float64) (*cloud, error) {
	limit := rate.Inf
	if callsPerSecond > 0 {
		limit = rate.Limit(callsPerSecond)
	}
	pem, err := os.ReadFile(os.Getenv("DWS_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("DWS_CA holds no certificate")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &cloud{
		client: &http.Client{Transport: transport, Timeout: 60 * time.Second},
		url:    os.Getenv("DWS_URL"),
		token:  os.Getenv("DWS_TOKEN"),
		pace:   rate.NewLimiter(limit, 1),
	}, nil
}

// answer is what the cloud said.
type answer struct {
	code       int32
	id         string
	retryAfter time.Duration
}

// turn waits until the next call may be made.
func (c *cloud) turn(ctx context.Context) error {
	return c.pace.Wait(ctx)
}

func (c *cloud) redistribute(ctx context.Context, spec api.Spec) (answer, error) {
	body, err := json.Marshal(map[string]any{"redis_mode": spec.RedisMode, "parallel_jobs": spec.ParallelJobs})
	if err != nil {
		return answer{}, err
	}
	url := fmt.Sprintf("%s/v2/%s/clusters/%s/redistribution", c.url, spec.ProjectID, spec.ClusterID)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Auth-Token", c.token)
	response, err := c.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil {
		seconds = 60
	}
	return answer{
		code:       int32(response.StatusCode),
		id:         response.Header.Get("X-Request-Id"),
		retryAfter: time.Duration(seconds) * time.Second,
	}, nil
}
