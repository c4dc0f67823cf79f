package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// Client is who sent a request, as far as the connection and trusted proxies
// tell.
type Client struct {
	IP     netip.Addr // the invalid address when it is not known
	Secure bool       // over TLS, up to the outermost trusted proxy
}

// TrustedProxies are the networks whose X-Forwarded-For and X-Forwarded-Proto
// are believed.
type TrustedProxies []netip.Prefix

func (t TrustedProxies) trusts(addr netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Client returns who sent r. X-Forwarded-For is read from its end, where the
// nearest proxy wrote, for as long as the writer is trusted: the first address
// that is not a trusted proxy's is the client's, and nothing that this client
// wrote itself is looked at.
func (t TrustedProxies) Client(r *http.Request) Client {
	client := Client{Secure: r.TLS != nil}
	addrPort, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return client
	}
	client.IP = addrPort.Addr().Unmap().WithZone("")
	if !t.trusts(client.IP) {
		return client
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); proto != "" {
		client.Secure = strings.EqualFold(proto, "https")
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && t.trusts(client.IP); i-- {
		addr, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		client.IP = addr
	}
	return client
}

// parseHop reads an entry of X-Forwarded-For, which some proxies write with a
// port.
func parseHop(s string) (netip.Addr, error) {
	if addrPort, err := netip.ParseAddrPort(s); err == nil {
		return addrPort.Addr().Unmap(), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return addr.Unmap().WithZone(""), err
}
