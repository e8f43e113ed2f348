// The same work with the AWS SDK for Go v2: list every version, get each with 64 goroutines, write NDJSON.
//
//	GOPATH=/usr/share/gocode GO111MODULE=off go build -o rival benchmarks/rivals/go/main.go && ./rival OUT
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const goroutines = 64

type version struct{ name, number string }

type answer struct {
	Configuration *types.FunctionConfiguration `json:",omitempty"`
	Code          *types.FunctionCodeLocation  `json:",omitempty"`
	Concurrency   *types.Concurrency           `json:",omitempty"`
	Tags          map[string]string            `json:",omitempty"`
}

func main() {
	ctx := context.Background()
	client := newClient(ctx)
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
				got, err := client.GetFunction(ctx, input)
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
	pages := lambda.NewListFunctionsPaginator(
		client, &lambda.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(err)
		for _, item := range page.Functions {
			versions <- version{*item.FunctionName, *item.Version}
		}
	}
	close(versions)
	workers.Wait()
	check(out.Flush())
	check(file.Close())
}

// newClient keeps a connection per goroutine, and finds AWS_ENDPOINT_URL, which this old SDK does not read itself.
func newClient(ctx context.Context) *lambda.Client {
	pooled := awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
		transport.MaxIdleConnsPerHost = goroutines
		transport.MaxIdleConns = goroutines
	})
	settings, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(pooled))
	check(err)
	return lambda.NewFromConfig(settings, func(options *lambda.Options) {
		options.EndpointResolver = lambda.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL"))
	})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
