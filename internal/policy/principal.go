package policy

import (
	"slices"
	"strings"

	"headwater/internal/mediastore"
)

// PrincipalType is the value of aws:PrincipalType.
type PrincipalType string

// The types of principals that can send a request here.
const (
	TypeAnonymous   PrincipalType = "Anonymous"
	TypeAccount     PrincipalType = "Account" // the account's root user
	TypeUser        PrincipalType = "User"
	TypeAssumedRole PrincipalType = "AssumedRole"
)

// Principal is who sends a request. One without Account is anonymous.
type Principal struct {
	Type     PrincipalType
	Account  string // 12 digits
	ARN      string // of the root user, the user, or the session
	RoleARN  string // of the role that a session is of, otherwise empty
	UserName string // aws:username: a user's name without its path, otherwise empty
	UserID   string // aws:userid
}

// Anonymous is the principal of a request without credentials.
func Anonymous() Principal { return Principal{Type: TypeAnonymous} }

// Root is the root user of an account.
func Root(account string) Principal {
	return Principal{
		Type:    TypeAccount,
		Account: account,
		ARN:     iamARN(account, "root"),
		UserID:  account,
	}
}

// User is a user with its path and name, like "live/encoders/anna", and its
// unique ID.
func User(account, pathAndName, id string) Principal {
	pathAndName = strings.TrimPrefix(pathAndName, "/")
	return Principal{
		Type:     TypeUser,
		Account:  account,
		ARN:      iamARN(account, "user/"+pathAndName),
		UserName: baseName(pathAndName),
		UserID:   id,
	}
}

// AssumedRole is a session of a role: the role with its path and name, like
// "live/publisher", its unique ID, and the name of the session.
func AssumedRole(account, pathAndName, roleID, session string) Principal {
	pathAndName = strings.TrimPrefix(pathAndName, "/")
	return Principal{
		Type:    TypeAssumedRole,
		Account: account,
		ARN:     "arn:aws:sts::" + account + ":assumed-role/" + baseName(pathAndName) + "/" + session,
		RoleARN: iamARN(account, "role/"+pathAndName),
		UserID:  roleID + ":" + session,
	}
}

func iamARN(account, name string) string { return "arn:aws:iam::" + account + ":" + name }

func baseName(pathAndName string) string {
	return pathAndName[strings.LastIndexByte(pathAndName, '/')+1:]
}

// principals is what a Principal element lists.
type principals struct {
	everyone bool
	accounts []string // each stands for all principals of the account
	arns     []string
}

// include reports whether who is listed. A role's ARN lists all its sessions.
// The anonymous principal is listed by "*" alone: its account and ARN are empty,
// and an empty one cannot be listed.
func (p *principals) include(who *Principal) bool {
	return p.everyone ||
		slices.Contains(p.accounts, who.Account) ||
		slices.Contains(p.arns, who.ARN) ||
		slices.Contains(p.arns, who.RoleARN)
}

func parsePrincipals(at place, value any) (*principals, error) {
	if value == "*" {
		return &principals{everyone: true}, nil
	}
	types, ok := value.(object)
	if !ok || len(types) == 0 {
		return nil, at.errorf(`must be "*" or an object with at least one of AWS, Service, Federated, CanonicalUser`)
	}
	if err := types.only(at, "AWS", "Service", "Federated", "CanonicalUser"); err != nil {
		return nil, err
	}
	p := &principals{}
	for _, t := range types {
		if err := eachString(at.member(t.name), t.value, p.adder(t.name)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// adder returns what takes in a principal of the type. Of types other than AWS
// nobody ever calls, so they are read and forgotten.
func (p *principals) adder(typ string) func(place, string) error {
	if typ == "AWS" {
		return p.add
	}
	return func(at place, s string) error {
		if s == "" {
			return at.errorf("must not be empty")
		}
		return nil
	}
}

func (p *principals) add(at place, s string) error {
	if s == "*" {
		p.everyone = true
		return nil
	}
	if isAccount(s) {
		p.accounts = append(p.accounts, s)
		return nil
	}
	account, name, ok := parsePrincipalARN(s)
	switch {
	case !ok:
		return at.errorf("%q must be *, an account number, or the ARN of an account's root, a user, a role, or a session; wildcards are not allowed in it", short(s))
	case name == "root":
		p.accounts = append(p.accounts, account)
	default:
		p.arns = append(p.arns, s)
	}
	return nil
}

func isAccount(s string) bool {
	_, err := mediastore.ParseAccountID(s)
	return err == nil
}

// parsePrincipalARN returns the account of a principal's ARN and what is named
// in it: "root", "user/…", "role/…", "assumed-role/…/…", "federated-user/…".
func parsePrincipalARN(s string) (account, name string, ok bool) {
	parts := strings.SplitN(s, ":", arnParts)
	if len(parts) != arnParts || strings.ContainsAny(s, "*?") {
		return "", "", false
	}
	partition, service, region, account, name := parts[1], parts[2], parts[3], parts[4], parts[5]
	if parts[0] != "arn" || !isPartition(partition) || region != "" || !isAccount(account) {
		return "", "", false
	}
	return account, name, isPrincipalName(service, name)
}

func isPartition(s string) bool { return s == "aws" || strings.HasPrefix(s, "aws-") }

func isPrincipalName(service, name string) bool {
	if name == "root" {
		return service == "iam"
	}
	kind, rest, _ := strings.Cut(name, "/")
	switch service + ":" + kind {
	case "iam:user", "iam:role", "sts:federated-user":
		return baseName(rest) != ""
	case "sts:assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return role != "" && session != "" && !strings.Contains(session, "/")
	default:
		return false
	}
}
