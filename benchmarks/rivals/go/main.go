// The same work with the AWS SDK for Go v2: list every version, get each with 64 goroutines, write NDJSON.
//
//	GOPATH=/usr/share/gocode GO111MODULE=off go build -o rival benchmarks/rivals/go/main.go && ./rival OUT [SCOPE ...]
//
// A SCOPE is ACCOUNT/REGION; they are listed at the same time. The keys of an account's role are named after it, as
// nginx_fleet.py expects. Without any, the account and the Region are those of the environment.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const goroutines = 64

type version struct {
	client       *lambda.Client
	name, number string
}

type answer struct {
	Configuration *types.FunctionConfiguration `json:",omitempty"`
	Code          *types.FunctionCodeLocation  `json:",omitempty"`
	Concurrency   *types.Concurrency           `json:",omitempty"`
	Tags          map[string]string            `json:",omitempty"`
}

func main() {
	ctx := context.Background()
	clients := newClients(ctx, os.Args[2:])
	file, err := os.Create(os.Args[1])
	check(err)
	out := bufio.NewWriterSize(file, 1<<20)
	var lock sync.Mutex
	versions := make(chan version, 1000)
	var workers sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			var line bytes.Buffer
			encoder := json.NewEncoder(&line)
			encoder.SetEscapeHTML(false)
			for v := range versions {
				input := &lambda.GetFunctionInput{FunctionName: aws.String(v.name)}
				if v.number != "$LATEST" {
					input.Qualifier = aws.String(v.number)
				}
				got, err := v.client.GetFunction(ctx, input)
				check(err)
				line.Reset()
				check(encoder.Encode(answer{got.Configuration, got.Code, got.Concurrency, got.Tags}))
				lock.Lock()
				_, err = out.Write(line.Bytes())
				lock.Unlock()
				check(err)
			}
		}()
	}
	var listers sync.WaitGroup
	for _, client := range clients {
		listers.Add(1)
		go func(client *lambda.Client) {
			defer listers.Done()
			pages := lambda.NewListFunctionsPaginator(
				client, &lambda.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				check(err)
				for _, item := range page.Functions {
					versions <- version{client, *item.FunctionName, *item.Version}
				}
			}
		}(client)
	}
	listers.Wait()
	close(versions)
	workers.Wait()
	check(out.Flush())
	check(file.Close())
}

// newClients keeps a connection per goroutine, and finds AWS_ENDPOINT_URL, which this old SDK does not read itself.
func newClients(ctx context.Context, scopes []string) []*lambda.Client {
	connections := goroutines + len(scopes)
	pooled := awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
		transport.MaxIdleConnsPerHost = connections
		transport.MaxIdleConns = connections
	})
	settings, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(pooled))
	check(err)
	newClient := func(scope string) *lambda.Client {
		return lambda.NewFromConfig(settings, func(options *lambda.Options) {
			options.EndpointResolver = lambda.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL"))
			if parts := strings.Split(scope, "/"); len(parts) == 2 {
				options.Region = parts[1]
				options.Credentials = aws.NewCredentialsCache(
					credentials.NewStaticCredentialsProvider("ASIA"+parts[0], "testing", "testing"))
			}
		})
	}
	if len(scopes) == 0 {
		return []*lambda.Client{newClient("")}
	}
	var clients []*lambda.Client
	for _, scope := range scopes {
		clients = append(clients, newClient(scope))
	}
	return clients
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
