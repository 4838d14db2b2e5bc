package sdk

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Client is a client of one orchestrator. Its fields are the API's resources. It has no
// state except idle connections, and is safe for concurrent use.
type Client struct {
	// Machines, and the agents that report for them.
	MachineIdentity  *MachineIdentityService
	Machines         *MachinesService
	MachineAgents    *MachineAgentsService
	RuntimeEndpoints *RuntimeEndpointsService
	Graph            *GraphService // experimental

	// AI agents that are paired with machines, and the market in which they act.
	AgentPairings  *AgentPairingsService
	Skills         *SkillsService
	MarketServices *MarketServicesService
	MarketSearches *MarketSearchesService
	MarketOrders   *MarketOrdersService
	MarketPayments *MarketPaymentsService
	OneM2M         *OneM2MService
	IoT            *IoTService

	// Selling, buying and delivering streams.
	Delivery       *DeliveryService
	StreamListings *StreamListingsService
	Purchases      *PurchasesService
	Streams        *StreamsService // experimental

	// The orchestrator.
	Policies      *PoliciesService
	Observability *ObservabilityService

	base       baseURL
	transport  http.RoundTripper
	own        ownTransport  // for calls that share no connection
	timeout    time.Duration // of every call, if the caller's http.Client has one
	maxBody    int64
	apiKey     Secret
	userAgent  string
	refs       identityRefs
	middleware []Middleware
	codec      *wire.Codec
	pages      *wire.Codec // for the items of a list, whose status may be unknown
	strict     *wire.Codec // for oneM2M, whose shape is checked to the last field
}

// ownTransport makes, once, a transport that closes every connection after one response.
type ownTransport struct {
	once      sync.Once
	transport http.RoundTripper
}

// ownTransport returns the transport for calls that use a connection of their own. One that
// is not of net/http is used as it is; the request asks it to close the connection.
func (c *Client) ownTransport() http.RoundTripper {
	c.own.once.Do(func() {
		c.own.transport = c.transport
		if shared, ok := c.transport.(*http.Transport); ok {
			alone := shared.Clone()
			alone.DisableKeepAlives = true
			c.own.transport = alone
		}
	})
	return c.own.transport
}

// Option configures a client that [New] makes. A nil Option is ignored.
type Option func(*Client)

// WithAPIKey sends the platform key with every call that takes one. An empty key is the
// same as no key. Spaces around it are removed, as HTTP does. New rejects a key that no header
// can hold, such as one with a newline at its end.
func WithAPIKey(key Secret) Option { return func(c *Client) { c.apiKey = key } }

// WithHTTPClient uses the Transport of hc and, if it is not zero, its Timeout instead of the
// default timeouts (30 s for GET, 60 s for all other methods). The cookie jar and redirect
// policy of hc are ignored: the API has no cookies, and redirects are never followed. nil is
// the same as not using the option.
//
// Calls whose response holds a secret, and reads with side effects, use a connection of
// their own. If Transport is not an *[http.Transport], it must honor Request.Close for that.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *Client) {
		if hc == nil {
			return
		}
		if hc.Transport != nil {
			c.transport = hc.Transport
		}
		c.timeout = hc.Timeout
	}
}

// WithUserAgent replaces the default User-Agent, peaqos-agent-go/<version>.
func WithUserAgent(agent string) Option { return func(c *Client) { c.userAgent = agent } }

// WithLegacyIdentityRefs accepts did:peaq:0x<address> as a machine's identity, in requests
// and responses, as clients before 0.12.1 did (contract §2.1). Without it, only decimal
// identities are accepted.
func WithLegacyIdentityRefs() Option { return func(c *Client) { c.refs.legacy = true } }

// WithStrictStatus fails a whole page if one of its machines or pairings has a status that
// this package does not know, as the Python SDK does. Without it, the item is returned with
// that status. A single result, and every IoT subscription, is always checked.
func WithStrictStatus() Option { return func(c *Client) { c.pages = c.codec } }

// WithMaxBody limits the size of a response in bytes, after decompression. The default,
// also for values below 1, is 16 MiB. An error response has its own limit of 256 KiB.
func WithMaxBody(bytes int64) Option {
	return func(c *Client) {
		if bytes > 0 {
			c.maxBody = bytes
		}
	}
}

// WithMiddleware wraps every call in m; the first is the outermost. See [Middleware].
func WithMiddleware(m ...Middleware) Option {
	return func(c *Client) {
		for _, one := range m {
			if one != nil {
				c.middleware = append(c.middleware, one)
			}
		}
	}
}

// New makes a client of the orchestrator at base, an http or https URL. /api/v1 is added to
// its path, unless the path already ends with it. Nothing is sent. Errors: *ConfigError.
func New(base string, opts ...Option) (*Client, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: u, transport: http.DefaultTransport, userAgent: "peaqos-agent-go/" + Version, maxBody: maxBody,
		codec: newCodec(false), pages: newPageCodec(), strict: newCodec(true),
	}
	if err := c.configure(opts); err != nil {
		return nil, err
	}
	c.MachineIdentity = &MachineIdentityService{c}
	c.Machines = &MachinesService{c}
	c.MachineAgents = &MachineAgentsService{c}
	c.RuntimeEndpoints = &RuntimeEndpointsService{c}
	c.Graph = &GraphService{c}
	c.AgentPairings = &AgentPairingsService{c}
	c.Skills = &SkillsService{c}
	c.MarketServices = &MarketServicesService{c}
	c.MarketSearches = &MarketSearchesService{c}
	c.MarketOrders = &MarketOrdersService{c}
	c.MarketPayments = &MarketPaymentsService{c}
	c.OneM2M = &OneM2MService{c}
	c.IoT = &IoTService{c}
	c.Delivery = &DeliveryService{c}
	c.StreamListings = &StreamListingsService{c}
	c.Purchases = &PurchasesService{c}
	c.Streams = &StreamsService{c}
	c.Policies = &PoliciesService{c}
	c.Observability = &ObservabilityService{c}
	return c, nil
}

// configure applies options and checks what they set.
func (c *Client) configure(opts []Option) error {
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	if key := c.apiKey.Reveal(); key != strings.Trim(key, " \t") {
		c.apiKey = NewSecret(strings.Trim(key, " \t")) // HTTP removes them, so what is sent, checked and redacted is the same
	}
	if why := unsendable(c.apiKey.Reveal()); why != "" {
		return &ConfigError{"apiKey", why}
	}
	if why := unsendable(c.userAgent); why != "" {
		return &ConfigError{"userAgent", why}
	}
	return nil
}

// String is the URL of the orchestrator, without the part of its path that every client
// adds.
func (c *Client) String() string {
	return "sdk.Client(" + c.base.origin() + c.base.raw[:len(c.base.raw)-len(apiPrefix)] + ")"
}

// GoString is String, so that %#v does not print the fields.
func (c *Client) GoString() string { return c.String() }
