#!/bin/sh
# generate.sh makes the test channel that is bundled into the binary.
#
#   internal/demo/generate.sh      (or: make demo-channel)
#
# Needs ffmpeg with libx264 and drawtext, and the DejaVu fonts; on Debian:
# apt-get install ffmpeg fonts-dejavu-core. It is run by hand when the picture is
# to change, and what it writes (channel/) is committed: nobody needs ffmpeg to
# build or to run Headwater. The same ffmpeg and x264 write the same bytes.
#
# What comes out, and why:
#   - 24 s, because that is whole in every clock involved: 12 segments of 2 s,
#     600 frames at 25 per second, 1125 AAC frames of 1024 samples at 48 kHz.
#   - One track per file, as CMAF wants it (ISO/IEC 23000-19): 360p and audio.
#   - A closed group of pictures of exactly 2 s without B-frames, so that a
#     segment needs no other, and neither track needs an edit list.
#   - A flash and a beep at every full second, to see that sound and picture are
#     together. The encoder delays sound by one AAC frame; the source is cut by
#     as much.
set -eu
cd "$(dirname "$0")"

seconds=24
segment=2
rate=25
font=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf}
mono=${MONO:-/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf}

rm -rf channel
mkdir -p channel/360p channel/audio

# Three waves that run past each other. Their periods divide the loop, so that
# its end meets its beginning. Each one covers what is below its surface.
far='clip(Y-(236+10*sin(2*PI*(X/320-T/12)))+0.5,0,1)'
mid='clip(Y-(266+9*sin(2*PI*(X/213.3+T/8)))+0.5,0,1)'
near='clip(Y-(296+7*sin(2*PI*(X/160-T/6)))+0.5,0,1)'

# In the chroma planes X and Y count every second pixel.
cfar='clip(2*Y-(236+10*sin(2*PI*(2*X/320-T/12)))+0.5,0,1)'
cmid='clip(2*Y-(266+9*sin(2*PI*(2*X/213.3+T/8)))+0.5,0,1)'
cnear='clip(2*Y-(296+7*sin(2*PI*(2*X/160-T/6)))+0.5,0,1)'
waves="geq=lum='30-8*Y/360+20*$far+20*$mid+18*$near':cb='136+8*$cfar+7*$cmid+6*$cnear':cr='124-5*$cfar-5*$cmid-5*$cnear'"

text="drawtext=fontfile=$font:fontcolor=white"
count="drawtext=fontfile=$mono:fontcolor=white"
beat="lt(mod(t\,1)\,0.08)"
picture="
color=c=black:s=640x360:r=$rate:d=$seconds,format=yuv420p,$waves[water];
pal75bars=s=640x10:r=$rate:d=$seconds[bars];
color=c=0x5cc8ff:s=640x4:r=$rate:d=$seconds[progress];
[water][bars]overlay=0:0[a];
[a][progress]overlay=x='-640+640*t/$seconds':y=356[b];
[b]$text:text='HEADWATER':fontsize=44:x=40:y=58,
$text@0.75:text='demo channel':fontsize=22:x=42:y=110,
$count:timecode='00\:00\:00\:00':rate=$rate:fontsize=40:x=40:y=160,
$text@0.75:text='640x360  25 fps  H.264 + AAC  2 s segments':fontsize=14:x=42:y=330,
drawbox=x=528:y=62:w=72:h=72:color=white@0.25:t=2,
drawbox=x=534:y=68:w=60:h=60:color=white:t=fill:enable='$beat',
$text@0.75:text='BEEP':fontsize=14:x=545:y=142
[picture]"

# A soft chord that breathes once per loop, and 80 ms of 1 kHz on each second.
chord='0.018*(sin(2*PI*220*t)+sin(2*PI*277*t)+sin(2*PI*330*t))*(0.6-0.4*cos(2*PI*t/24))'
beep='0.06*sin(2*PI*1000*t)*lt(mod(t,1),0.08)'
sound="aevalsrc='$chord+$beep':s=48000:d=$seconds,atrim=start_sample=1024,asetpts=PTS-STARTPTS[sound]"

# encode NAME ARGS... writes one track as channel/NAME/{init.mp4,NN.m4s} with
# ffmpeg's playlist, from which the publisher takes the durations.
encode() {
	name=$1
	shift
	ffmpeg -hide_banner -loglevel warning -nostdin -y -filter_complex_threads 1 "$@" \
		-map_metadata -1 -fflags +bitexact -threads 1 \
		-f hls -hls_time $segment -hls_playlist_type vod -hls_segment_type fmp4 \
		-hls_segment_options movflags=+frag_custom+dash+delay_moov+cmaf \
		-hls_flags independent_segments -hls_fmp4_init_filename init.mp4 \
		-hls_segment_filename "channel/$name/%02d.m4s" "channel/$name/media.m3u8"
}

encode 360p -filter_complex "$picture" -map '[picture]' \
	-c:v libx264 -profile:v main -level 3.0 -pix_fmt yuv420p -preset veryslow -tune animation \
	-bf 0 -g $((segment * rate)) -keyint_min $((segment * rate)) -sc_threshold 0 \
	-x264-params open-gop=0 -crf 20 -maxrate 400k -bufsize 600k -flags:v +bitexact

encode audio -filter_complex "$sound" -map '[sound]' \
	-c:a aac -b:a 64k -ac 1 -flags:a +bitexact

# bits NAME max|mean prints the track's greatest or mean bits per second. Every
# segment is within a percent of its nominal length, which the margin below covers.
bits() {
	wc -c channel/"$1"/[0-9]*.m4s | awk -v want="$2" -v s=$segment '
		$2 != "total" { n++; sum += $1; if ($1 > max) max = $1 }
		END { printf "%d", 8 * 1.02 / s * (want == "max" ? max : sum / n) }'
}

# The multivariant playlist never changes while the channel runs. The codecs are
# H.264 Main at level 3.0 (RFC 6381, section 3.3) and AAC-LC.
cat >channel/index.m3u8 <<END
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Tone",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="1",URI="audio.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=$(($(bits 360p max) + $(bits audio max))),AVERAGE-BANDWIDTH=$(($(bits 360p mean) + $(bits audio mean))),CODECS="avc1.4d401e,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=$rate.000,AUDIO="audio"
360p.m3u8
END
