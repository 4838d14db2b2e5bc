package sdk

import (
	"net/http"
	"time"

	"github.com/peaqnetwork/peaqos-agent/sdk/internal/wire"
)

// Client is a client of one orchestrator. Its fields are the API's resources. It
// holds no state but idle connections and is safe for concurrent use.
type Client struct {
	// The machine's side.
	MachineIdentity  *MachineIdentityService
	Machines         *MachinesService
	MachineAgents    *MachineAgentsService
	RuntimeEndpoints *RuntimeEndpointsService
	Graph            *GraphService // experimental

	// The agents that act for it, and the market they act in.
	AgentPairings  *AgentPairingsService
	Skills         *SkillsService
	MarketServices *MarketServicesService
	MarketSearches *MarketSearchesService
	MarketOrders   *MarketOrdersService
	MarketPayments *MarketPaymentsService
	OneM2M         *OneM2MService
	IoT            *IoTService

	// Streams that are sold and delivered.
	Delivery       *DeliveryService
	StreamListings *StreamListingsService
	Purchases      *PurchasesService
	Streams        *StreamsService // experimental

	// The orchestrator itself.
	Policies      *PoliciesService
	Observability *ObservabilityService

	base       baseURL
	transport  http.RoundTripper
	timeout    time.Duration // of every call, when the caller's http.Client has one
	maxBody    int64
	apiKey     Secret
	userAgent  string
	refs       identityRefs
	middleware []Middleware
	codec      *wire.Codec
	strict     *wire.Codec // for oneM2M, whose shape is checked to the last field
}

// Option changes how New makes a client.
type Option func(*Client)

// WithAPIKey sends the platform key with every call that takes one. An empty key
// is as good as none.
func WithAPIKey(key Secret) Option { return func(c *Client) { c.apiKey = key } }

// WithHTTPClient uses the Transport of hc and, when it is not zero, its Timeout
// in place of the API's own limits (30 s for GET, 60 s for the rest). Its cookie
// jar and redirect policy are not used: the API has no cookies, and a redirect is
// refused always.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *Client) {
		if hc.Transport != nil {
			c.transport = hc.Transport
		}
		c.timeout = hc.Timeout
	}
}

// WithUserAgent replaces the user agent peaqos-agent-go/<version>.
func WithUserAgent(agent string) Option { return func(c *Client) { c.userAgent = agent } }

// WithLegacyIdentityRefs accepts did:peaq:0x<address> as a machine's identity, in
// requests and in answers, as clients before 0.12.1 did (contract §2.1). Without
// it only decimal identities pass.
func WithLegacyIdentityRefs() Option { return func(c *Client) { c.refs.legacy = true } }

// WithMaxBody refuses an answer of more than so many bytes, unpacked: 16 MiB
// without it, or below 1. An error keeps its own limit of 256 KiB.
func WithMaxBody(bytes int64) Option {
	return func(c *Client) {
		if bytes > 0 {
			c.maxBody = bytes
		}
	}
}

// WithMiddleware wraps every call, the first given outermost. See Middleware.
func WithMiddleware(m ...Middleware) Option {
	return func(c *Client) { c.middleware = append(c.middleware, m...) }
}

// New makes a client of the orchestrator at base, an http or https URL whose path,
// if it has one, comes before /api/v1 (a path that already ends so is taken as it
// is). Nothing is sent. Errors: *ConfigError.
func New(base string, opts ...Option) (*Client, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, err
	}
	c := &Client{base: u, transport: http.DefaultTransport, userAgent: "peaqos-agent-go/" + Version, maxBody: maxBody, codec: newCodec(false), strict: newCodec(true)}
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

// String names the orchestrator and nothing else.
func (c *Client) String() string { return "sdk.Client(" + c.base.origin() + ")" }

// GoString is String: %#v walks no further.
func (c *Client) GoString() string { return c.String() }
