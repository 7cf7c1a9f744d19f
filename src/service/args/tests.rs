#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod calls;
mod circuits;

use clap::CommandFactory;

use super::*;
use crate::egress::policy::HostPattern;

fn parse(arguments: &[&str]) -> Result<RunConfig, String> {
    let command_line = ["saga-operator", "run"].iter().chain(arguments);
    match Cli::try_parse_from(command_line).map_err(|error| error.to_string())?.command {
        Command::Run(arguments) => arguments.validate(LogOutput::Redirected),
        Command::Crd => panic!("not `run`"),
    }
}

/// The message that refuses `argument`, on one line, without the usage below it.
fn refusal(argument: &str) -> String {
    let message = parse(&[argument]).unwrap_err();
    message.split("\n\n").next().unwrap().to_owned()
}

#[test]
fn the_definition_is_consistent_and_needs_a_subcommand() {
    Cli::command().debug_assert();
    let error = Cli::try_parse_from(["saga-operator"]).unwrap_err();
    assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    assert!(matches!(Cli::try_parse_from(["saga-operator", "crd"]).unwrap().command, Command::Crd));
}

#[test]
fn every_argument_has_a_variable_of_its_own_name() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let own =
        run.get_arguments().filter(|argument| argument.get_id() != "help").collect::<Vec<_>>();
    assert_eq!(own.len(), 21);
    for argument in own {
        let name = argument.get_long().unwrap().to_uppercase().replace('-', "_");
        assert_eq!(argument.get_env().unwrap().to_str().unwrap(), format!("SAGA_{name}"));
    }
}

#[test]
fn defaults_are_those_of_the_design() {
    assert_eq!(
        parse(&[]).unwrap(),
        RunConfig {
            egress: EgressRules::default(),
            pod_ips: Vec::new(),
            http_calls: CallLimits { per_host: 32, per_namespace: 64, total: 1024 },
            http_circuits: Some(CircuitConfig {
                calls: 20,
                window: Duration::from_mins(1),
                unknown_percent: 50,
                open: Duration::from_secs(30),
            }),
            metrics_addr: Some("0.0.0.0:8080".parse().unwrap()),
            leader_elect: false,
            lease_namespace: None,
            health_addr: Some("0.0.0.0:8081".parse().unwrap()),
            circuits_endpoint: false,
            drain: Duration::from_secs(25),
            watch_namespaces: BTreeSet::new(),
            log_format: LogFormat::Json,
            log_level: "info".into(),
        }
    );
}

#[test]
fn networks_are_lists_and_may_be_given_more_than_once() {
    let config =
        parse(&["--http-allow-cidrs=10.0.0.0/8, fd00::/8", "--http-allow-cidrs", "10.1.2.3,::1,"])
            .unwrap();
    let written: Vec<String> = config.egress.allow_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["10.0.0.0/8", "fd00::/8", "10.1.2.3/32", "::1/128"]);
    assert_eq!(parse(&["--http-allow-cidrs="]).unwrap().egress.allow_cidrs, []);
}

#[test]
fn ipv4_written_as_ipv6_is_ipv4() {
    let config =
        parse(&["--http-allow-cidrs=::ffff:10.0.0.0/104,::ffff:10.1.2.3,::ffff:0.0.0.0/96,::/0"])
            .unwrap();
    let written: Vec<String> = config.egress.allow_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "::/0"]);
}

#[test]
fn what_is_no_network_is_refused_with_an_example() {
    assert_eq!(
        refusal("--http-allow-cidrs=10.0.0.0/8,10.0.0.0/33"),
        "error: invalid value '10.0.0.0/8,10.0.0.0/33' for '--http-allow-cidrs <CIDRS>': \
         `10.0.0.0/33` is no network: write an address and a prefix, such as 10.0.0.0/8 or \
         fd00::/8, or one address, such as 10.1.2.3"
    );
    assert!(
        refusal("--http-allow-cidrs=payments.shop.svc")
            .contains("`payments.shop.svc` is no network: write an address")
    );
    assert!(refusal("--http-allow-cidrs=10.1.2.3/8").ends_with(
        "`10.1.2.3/8` has bits set beyond its prefix: write 10.0.0.0/8 for the \
                network, or 10.1.2.3 for the one address"
    ));
}

#[test]
fn the_addresses_of_the_pod_are_addresses() {
    let addresses = |arguments: &[&str]| {
        parse(arguments).unwrap().pod_ips.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        addresses(&["--pod-ips=10.244.1.7,fd00:10:244::7"]),
        ["10.244.1.7", "fd00:10:244::7"]
    );
    assert!(addresses(&["--pod-ips="]).is_empty());
    for wrong in ["10.244.1.0/24", "localhost", "10.244.1.7:8081", "$(POD_IPS)"] {
        let sentence = format!(
            "`{wrong}` is no address of a pod: write an IP address, such as 10.244.1.7 or fd00::7"
        );
        assert!(refusal(&format!("--pod-ips=10.244.1.7,{wrong}")).ends_with(&sentence), "{wrong}");
    }
}

#[test]
fn hosts_are_names_and_all_below_a_name() {
    let config = parse(&[
        "--http-allow-hosts=Payments.shop.svc, *.example.com,10.1.2.3",
        "--http-deny-hosts=admin.example.com",
        "--http-deny-hosts=",
        "--http-deny-cidrs=::ffff:10.0.0.0/104,192.0.2.7",
    ])
    .unwrap();
    let written =
        |patterns: &[HostPattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        written(&config.egress.allow_hosts),
        ["payments.shop.svc", "*.example.com", "10.1.2.3"]
    );
    assert_eq!(written(&config.egress.deny_hosts), ["admin.example.com"]);
    assert_eq!(
        config.egress.deny_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "192.0.2.7/32"]
    );
    assert_eq!(
        refusal("--http-deny-hosts=ok.example.com,http://a/"),
        "error: invalid value 'ok.example.com,http://a/' for '--http-deny-hosts <HOSTS>': \
         `http://a/` is no host: write a name, such as payments.shop.svc, or *.example.com for \
         every name below example.com; without scheme, port and path"
    );
    assert!(refusal("--http-allow-hosts=*").contains("`*` is no host"));
    assert!(refusal("--http-deny-cidrs=10.0.0.1/8").contains("has bits set beyond its prefix"));
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    assert_eq!(
        parse(&["--http-allow-cidrs=127.0.0.1", "--http-deny-cidrs=127.0.0.0/8"]).unwrap_err(),
        "127.0.0.1/32 of --http-allow-cidrs lies in 127.0.0.0/8 of --http-deny-cidrs, which wins: \
         take 127.0.0.1/32 out, or deny less"
    );
    let address = parse(&["--http-deny-hosts=10.0.0.1"]).unwrap_err();
    assert!(address.ends_with("write it in --http-deny-cidrs instead"), "{address}");
}

#[test]
fn addresses_are_switched_off_by_0_and_must_differ() {
    let config = parse(&["--metrics-addr=0", "--health-addr=[::]:9"]).unwrap();
    assert_eq!((config.metrics_addr, config.health_addr), (None, Some("[::]:9".parse().unwrap())));
    assert_eq!(
        parse(&["--health-addr=0.0.0.0:8080"]).unwrap_err(),
        "--metrics-addr and --health-addr are both 0.0.0.0:8080: give each a port of its own, or \
         0 to switch it off"
    );
    parse(&["--health-addr=0", "--metrics-addr=0"]).unwrap();
    parse(&["--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"])
        .expect("the system chooses two ports");
    for wrong in [":8080", "8080", "localhost:8080", ""] {
        let sentence = format!(
            "`{wrong}` is no address to listen on: write an IP address and a port, such as \
             0.0.0.0:8080"
        );
        assert!(refusal(&format!("--metrics-addr={wrong}")).contains(&sentence), "{wrong}");
    }
}

#[test]
fn a_leader_is_elected_only_where_that_is_asked_for() {
    let elects = |arguments: &[&str]| parse(arguments).unwrap().leader_elect;
    assert!(
        !elects(&[]) && !elects(&["--leader-elect=false"]) && !elects(&["--leader-elect", "false"])
    );
    assert!(elects(&["--leader-elect"]) && elects(&["--leader-elect=true"]));
    let refusal = refusal("--leader-elect=yes");
    assert!(refusal.ends_with(
        "`yes` is neither true nor false: write true where several \
        operators work on the same sagas, else false"
    ));
}

#[test]
fn the_namespace_of_the_leases_is_a_namespace_or_nothing() {
    let namespace = |argument| parse(&[argument]).unwrap().lease_namespace;
    assert_eq!(namespace("--lease-namespace=saga-system").as_deref(), Some("saga-system"));
    assert_eq!(namespace("--lease-namespace="), None);
    assert!(refusal("--lease-namespace=Not_One").contains("is no name of a namespace"));
}

#[test]
fn the_drain_is_a_duration_within_its_bounds() {
    let drain = |text: &str| parse(&[&format!("--drain={text}")]).map(|config| config.drain);
    assert_eq!(drain("1m30s").unwrap(), Duration::from_secs(90));
    assert_eq!(drain("500ms").unwrap(), Duration::from_millis(500));
    assert_eq!(drain("5m").unwrap(), MAX_DRAIN);
    assert_eq!(drain("0").unwrap(), Duration::ZERO);
    for long in ["5m1s", "999999999999999h"] {
        assert!(
            refusal(&format!("--drain={long}")).contains("is too long: write at most 5m"),
            "{long}"
        );
    }
    // The last ones make kube's parser panic: negative parts, and products too large.
    for wrong in
        ["25", "", "s", "25 s", "25x", "NaNs", "-25s", "1s-5s", "99999999999999999999999999h"]
    {
        let sentence = format!(
            "`{wrong}` is no duration: write a number and a unit, such as 500ms, 25s or 1m30s; \
             not negative"
        );
        assert!(refusal(&format!("--drain={wrong}")).ends_with(&sentence), "{wrong}");
    }
}

#[test]
fn namespaces_are_labels_each_once() {
    let config = parse(&["--watch-namespaces=shop,billing", "--watch-namespaces", "shop"]).unwrap();
    assert_eq!(config.watch_namespaces.iter().collect::<Vec<_>>(), ["billing", "shop"]);
    assert_eq!(parse(&["--watch-namespaces="]).unwrap().watch_namespaces, BTreeSet::new());
    for wrong in ["Shop", "shop.svc", "-shop", "shop-", "*", &"x".repeat(64)] {
        let refusal = refusal(&format!("--watch-namespaces=ok,{wrong}"));
        assert!(
            refusal.contains(&format!(
                "`{wrong}` is no name of a namespace: write at most 63 lower-case letters"
            )),
            "{refusal}"
        );
    }
    parse(&[&format!("--watch-namespaces={}", "x".repeat(63))]).unwrap();
}

#[test]
fn logs_are_text_on_a_terminal_unless_told_otherwise() {
    let format = |arguments: &[&str], output| {
        let command_line = ["saga-operator", "run"].iter().chain(arguments);
        let Command::Run(arguments) = Cli::try_parse_from(command_line).unwrap().command else {
            panic!("not `run`")
        };
        arguments.validate(output).unwrap().log_format
    };
    assert_eq!(format(&[], LogOutput::Terminal), LogFormat::Text);
    assert_eq!(format(&[], LogOutput::Redirected), LogFormat::Json);
    assert_eq!(format(&["--log-format=json"], LogOutput::Terminal), LogFormat::Json);
    assert_eq!(format(&["--log-format=text"], LogOutput::Redirected), LogFormat::Text);
    assert!(refusal("--log-format=xml").contains("possible values: json, text"));
    assert!(
        refusal("--log-level=verbose").contains(
            "`verbose` is no level: write a level (error, warn, info, debug, trace, off)"
        )
    );
}
