//! ConnectionBind: who may take a connection over, and where (RFC 6062 section 5.4).

use super::*;

#[test]
fn x3_connection_ids_are_random_and_unique_and_name_their_shard() {
    let ids = |seed| {
        let world = world().shards(2).seed(seed);
        let mut ids = Vec::new();
        for shard in [0, 1] {
            let ann = world.tcp_client_on(shard, "ann").tcp_allocate();
            for port in 0..20 {
                let id = ann.connect(SocketAddr::new(PEER.ip(), 5_000 + port));
                assert_eq!(ShardId(id.to_be_bytes()[0]), ann.shard());
                ids.push(id);
            }
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40);
        ids
    };
    let (some, others) = (ids(1), ids(2));
    assert!(some.iter().all(|id| !others.contains(id)), "nobody can guess them");
    let steps: HashSet<_> = some.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.len() > 35, "they do not count up");
}

#[test]
fn x3_connection_id_serves_its_own_user_and_allocation_only() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    assert_eq!(world.tcp_client("bob").bind_connection_request(id).code(), 441);
    // It ends with its allocation, whatever else its user has.
    let other = world.tcp_client("ann").tcp_allocate();
    world.close_link(&ann);
    assert_eq!(world.tcp_client("ann").bind_connection_request(id).code(), 400);
    assert_eq!(other.connect_request(PEER).code(), 200);
}

#[test]
fn x3_connection_ids_cannot_be_guessed_by_one_who_has_the_same_credentials() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    let guesser = world.tcp_client("ann");
    let codes = (1..=150).map(|guess| guesser.bind_connection_request(id ^ guess).code());
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes.iter().filter(|code| **code == 400).count(), 100);
    assert_eq!(codes.iter().filter(|code| **code == 403).count(), 50);
    assert_eq!(guesser.bind_connection_request(id).code(), 403, "a right guess does not stand out");
    // Whoever comes from elsewhere, and every other user, is not held up.
    let elsewhere = world.client_at("ann", SocketAddr::from(([198, 18, 0, 9], 5_000)));
    let bob = world.tcp_client("bob").tcp_allocate();
    world.tcp_client("bob").bind_connection(bob.connect(OTHER_PEER));
    elsewhere.over(Transport::Tcp).bind_connection(id);
    // In time the guesser may try again.
    world.advance(secs(1));
    assert_eq!(guesser.bind_connection_request(id ^ 1).code(), 400);
}

#[test]
fn x5_connection_bind_comes_over_tcp_or_tls_and_names_a_connection_that_waits() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    for transport in [Transport::Udp, Transport::Dtls] {
        let other = world.client("ann").over(transport);
        assert_eq!(other.bind_connection_request(id).code(), 400, "{transport:?}");
    }
    let data = world.client("ann").over(Transport::Tls);
    assert_eq!(data.ask(Method::CONNECTION_BIND).code(), 400, "no id");
    assert_eq!(data.bind_connection_request(id ^ 1).code(), 400, "an unknown one");
    assert_eq!(data.bind_connection_request(id | 0x0700_0000).code(), 400, "of no shard");
    assert_eq!(ann.bind_connection_request(id).code(), 400, "the control connection");
    world.peers_answer(PeerAnswer::IsSilent);
    ann.connect_request(OTHER_PEER).once().expect_silence();
    let pending = world.peer_connections().into_iter().find(|other| other.id != id);
    let pending = pending.expect("it is being made").id;
    assert_eq!(data.bind_connection_request(pending).code(), 400, "not yet there");
    assert_eq!(data.bind_connection_request(id).code(), 200);
    assert_eq!(world.tcp_client("ann").bind_connection_request(id).code(), 400, "bound already");
}

#[test]
fn x5_reply_leaves_before_the_connection_is_spliced() {
    let world = world();
    let ann = world.tcp_client("ann").tcp_allocate();
    let id = ann.connect(PEER);
    let data = world.tcp_client("ann").challenged();
    let answer = data.bind_connection_request(id).once().answer();
    assert_eq!(answer.code(), 200);
    assert!(answer.kinds().is_empty(), "nothing but its signature: {:?}", answer.kinds());
    let [connection] = world.peer_connections()[..] else { panic!("one connection") };
    assert_eq!(connection.spliced, Some(data.tuple()));
    assert_eq!((connection.relayed, connection.peer), (ann.relayed(), PEER));
    assert!(world.serves(&ann) && world.serves(&data));
    assert!(!world.serves(&world.tcp_client("ann")), "nobody yet");
}

#[test]
fn x5_stranger_is_challenged_and_learns_nothing_of_an_id() {
    let world = world();
    let id = world.tcp_client("ann").tcp_allocate().connect(PEER);
    for id in [id, id ^ 1] {
        let stranger = world.tcp_client("eve");
        let answer = stranger.bind_connection_request(id).once_unsigned().answer();
        assert_eq!(answer.code(), 401);
        assert_eq!(stranger.bind_connection_request(id).code(), 401);
    }
    assert_eq!(world.peer_connections()[0].spliced, None);
}

#[test]
fn x5_data_connection_at_another_shard_is_handed_over() {
    let world = world().shards(2);
    for (control, data) in [(0, 1), (1, 0), (1, 1)] {
        let ann = world.tcp_client_on(control, "ann").tcp_allocate();
        let id = ann.connect(PEER);
        let data = world.tcp_client_on(data, "ann");
        // The 401 comes from the shard that holds the connection, and so does the answer.
        let challenge = data.bind_connection_request(id).once_unsigned().answer();
        assert_eq!(challenge.code(), 401);
        assert_eq!(data.shard(), ann.shard());
        data.bind_connection(id);
        assert!(world.serves(&data));
        let counters = &world.counters()[usize::from(control)];
        assert!(counters.responses(Method::CONNECTION_BIND, 200) > 0);
        assert!(world.flows(id, Direction::Up, 1_000));
        world.close_link(&data);
        world.close_link(&ann);
    }
    assert!(world.peer_connections().is_empty());
    world.expect_nothing_left_in_the_end();
}

#[test]
fn x5_other_shard_judges_all_of_a_request_that_is_handed_over() {
    let world = world().shards(2);
    let ann = world.tcp_client_on(0, "ann").tcp_allocate();
    let id = ann.connect(PEER);
    assert_eq!(world.tcp_client_on(1, "bob").bind_connection_request(id).code(), 441);
    assert_eq!(world.tcp_client_on(1, "eve").bind_connection_request(id).code(), 401);
    assert_eq!(world.tcp_client_on(1, "ann").bind_connection_request(id ^ 1).code(), 400);
    // A shard that does not exist is never handed anything.
    let nowhere = world.tcp_client_on(1, "ann");
    assert_eq!(nowhere.bind_connection_request(id | 0x0200_0000).code(), 400);
    assert_eq!(nowhere.shard(), ShardId(1));
    // Nor does a connection move that has an allocation here.
    let busy = world.tcp_client_on(1, "ann").tcp_allocate();
    assert_eq!(busy.bind_connection_request(id).code(), 400);
    assert_eq!(busy.shard(), ShardId(1));
    // UDP has no connection that could move.
    let udp = world.client_on(1, "ann");
    assert_eq!(udp.bind_connection_request(id).code(), 400);
    world.tcp_client_on(1, "ann").bind_connection(id);
}

#[test]
fn x5_nobody_is_sent_to_another_shard_while_there_is_no_tcp_allocation() {
    let world = world().shards(2);
    let eve = world.tcp_client_on(0, "eve");
    let answer = eve.bind_connection_request(0x0100_0001).once_unsigned().answer();
    assert_eq!((answer.code(), eve.shard()), (401, ShardId(0)));
}

#[test]
fn x5_connection_that_waits_for_its_allocation_is_no_data_connection() {
    let world = world().shards(2);
    let id = world.tcp_client_on(0, "ann").tcp_allocate().connect(PEER);
    let busy = world.tcp_client_on(1, "ann").challenged();
    world.hold_completions();
    busy.tcp_allocate_request().once().expect_silence();
    assert_eq!(busy.bind_connection_request(id).code(), 400);
    assert_eq!(busy.shard(), ShardId(1));
    assert_eq!(world.release_completions().answer().code(), 200);
}

#[test]
fn x5_stored_key_binds_after_the_credential_has_ended() {
    let world = World::new().secret("shared").shards(2);
    let world = world.settings(|settings| settings.relay.tcp = true);
    let name = format!("{}:ann", turn_testkit::START.0 + 60);
    let ann = world.tcp_client_on(0, &name).tcp_allocate();
    ann.refresh(3_600);
    world.advance(secs(500));
    assert_eq!(world.tcp_client_on(0, &name).allocate_request().code(), 401, "it has ended");
    let id = ann.connect(PEER);
    world.tcp_client_on(1, &name).bind_connection(id);
}
