package sdk

import (
	"net/http"
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
	timeout    time.Duration // of every call, if the caller's http.Client has one
	maxBody    int64
	apiKey     Secret
	userAgent  string
	refs       identityRefs
	middleware []Middleware
	codec      *wire.Codec
	strict     *wire.Codec // for oneM2M, whose shape is checked to the last field
}

// Option configures a client that [New] makes.
type Option func(*Client)

// WithAPIKey sends the platform key with every call that takes one. An empty key is the
// same as no key.
func WithAPIKey(key Secret) Option { return func(c *Client) { c.apiKey = key } }

// WithHTTPClient uses the Transport of hc and, if it is not zero, its Timeout instead of the
// default timeouts (30 s for GET, 60 s for all other methods). The cookie jar and redirect
// policy of hc are ignored: the API has no cookies, and redirects are never followed.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *Client) {
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
	return func(c *Client) { c.middleware = append(c.middleware, m...) }
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
		codec: newCodec(false), strict: newCodec(true),
	}
	for _, opt := range opts {
		opt(c)
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

// String is the URL of the orchestrator, without its path.
func (c *Client) String() string { return "sdk.Client(" + c.base.origin() + ")" }

// GoString is String, so that %#v does not print the fields.
func (c *Client) GoString() string { return c.String() }
