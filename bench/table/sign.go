package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	accessKey = "AKIDHEADWATERBENCH"
	secretKey = "a-secret-key-for-the-benchmarks"
	region    = "us-east-1"
	account   = "111122223333"

	// unsignedPayload is what SDKs declare for an object's body.
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// head builds a request up to its body. It is signed when the server wants that;
// the signature is good for 15 minutes. A size below 0 is a chunked body.
func (s *server) head(method, path string, size int, signed bool, headers ...string) ([]byte, error) {
	r, err := http.NewRequest(method, "http://"+s.addr+s.base+path, nil)
	if err != nil {
		return nil, err
	}
	r.ContentLength = int64(size)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if signed {
		if err := s.sign(r); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.URL.RequestURI(), s.addr)
	switch {
	case size < 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case method == http.MethodPut:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", size)
	}
	if err := r.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

func (s *server) sign(r *http.Request) error {
	r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s.service == "s3" })
	key := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	return signer.SignHTTP(context.Background(), key, r, unsignedPayload, s.service, region, time.Now())
}
