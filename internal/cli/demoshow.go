package cli

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/template"
)

// demoText is what the demo prints. The commands are there to be pasted into a
// shell, so each is complete.
const demoText = `
{{bold "Headwater"}}: a live channel is on air. Ctrl-C ends it.

  {{bold "Watch"}}     {{link .Watch}}
  {{bold "Playlist"}}  {{.Playlist}}
  {{bold "Data"}}      {{.Data}}

{{bold "Credentials"}}, for the commands below
{{.Exports}}

{{bold "AWS CLI"}}
  aws mediastore list-containers --endpoint-url {{.Server}}
  aws mediastore-data list-items --path {{.Folder}} --endpoint-url {{.Endpoint}}

{{bold "boto3"}}
  python3 -c "import boto3; print(boto3.client('mediastore-data', endpoint_url='{{.Endpoint}}').list_items(Path='{{.Folder}}')['Items'])"

{{bold "ffmpeg"}}, to publish a channel of your own
  ffmpeg -re -f lavfi -i testsrc2=size=640x360:rate=25 -c:v libx264 -pix_fmt yuv420p -g 50 \
    -f hls -hls_time 2 -hls_flags delete_segments -method PUT \
    -headers "Authorization: Basic $(printf %s "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" | base64 | tr -d '\n')"$'\r\n' \
    {{.Endpoint}}/mine/index.m3u8
  {{bold "Watch"}}     {{link .WatchMine}}

`

// show prints where the channel is and what to try.
func (d *demoRun) show(endpoint, playlist string) error {
	watch := func(path string) string {
		return d.url + "/-/player/?src=" + url.QueryEscape(endpoint+"/"+path)
	}
	text := template.Must(template.New("demo").Funcs(styles(isTerminal(d.stdout, d.env))).Parse(demoText))
	var shown bytes.Buffer
	err := text.Execute(&shown, map[string]string{
		"Watch":     watch(playlist),
		"WatchMine": watch("mine/index.m3u8"),
		"Playlist":  endpoint + "/" + playlist,
		"Data":      d.config.Data,
		"Exports":   exports(d.app, d.config),
		"Server":    d.url,
		"Endpoint":  endpoint,
		"Folder":    demoFolder,
	})
	if err != nil {
		return err
	}
	_, err = shown.WriteTo(d.stdout)
	return err
}

// styles are the template's functions: SGR sequences (ECMA-48, section 8.3.117)
// on a terminal, and nothing elsewhere.
func styles(terminal bool) template.FuncMap {
	style := func(code string) func(string) string {
		return func(s string) string {
			if !terminal {
				return s
			}
			return "\x1b[" + code + "m" + s + "\x1b[0m"
		}
	}
	return template.FuncMap{"bold": style("1"), "link": style("4;36")}
}

// isTerminal reports whether w shows colours: it is a terminal, and nobody asked
// for none.
func isTerminal(w io.Writer, env []string) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	plain := func(entry string) bool {
		return strings.HasPrefix(entry, "NO_COLOR=") && entry != "NO_COLOR=" || entry == "TERM=dumb"
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !slices.ContainsFunc(env, plain)
}
