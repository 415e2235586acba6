// Resolves each name of the command line with Go's own resolver (built with CGO_ENABLED=0).
package main

import (
	"context"
	"fmt"
	"net"
	"os"
)

func main() {
	resolver := net.Resolver{PreferGo: true}
	for _, name := range os.Args[1:] {
		addresses, err := resolver.LookupIPAddr(context.Background(), name)
		if err != nil {
			fmt.Println(name, err)
			continue
		}
		for _, address := range addresses {
			fmt.Println(name, address.String())
		}
	}
}
