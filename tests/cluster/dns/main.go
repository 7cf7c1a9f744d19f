// The name server of the local cluster: CoreDNS with the few plugins that config/Corefile uses, which builds in a fraction of the time that
// the whole takes. It is a module of its own, so that its dependencies do not decide over the versions of the cluster's other tools.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// In the order in which they see a question.
	dnsserver.Directives = []string{"bind", "ready", "errors", "log", "template", "kubernetes"}
	coremain.Run()
}
