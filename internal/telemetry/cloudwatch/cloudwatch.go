// Package cloudwatch sends metrics and access log records to Amazon CloudWatch,
// where MediaStore itself put them: under the same names, dimensions and log
// groups, so that dashboards, alarms and queries go on working.
//
// The official SDK signs and sends; it finds credentials by its default chain.
// The package must not know engines, services or edges: it gets facts and
// finished records.
package cloudwatch

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"headwater/internal/mediastore"
)

// load returns what the SDK's default chain finds, with the region when it is
// given. Credentials are looked for at the first call only.
func load(ctx context.Context, region string) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if region != "" {
		options = append(options, awsconfig.WithRegion(region))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, &mediastore.Error{Op: "cloudwatch.load", Kind: mediastore.KindInvalid, Message: "the AWS configuration cannot be loaded", Err: err}
	}
	if cfg.Region == "" {
		return aws.Config{}, mediastore.Invalid("Region", "CloudWatch needs an AWS region: give one, or set AWS_REGION")
	}
	return cfg, nil
}
