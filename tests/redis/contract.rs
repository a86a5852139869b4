//! What a shared limit promises while nothing goes wrong, on one server and on a cluster of three.
//!
//! Each backend is a session of its own, as another process would be.

use crate::processes::{Venue, contract};
use test_support::{Cluster, Server};

/// Runs each part of the contract against a server of its own.
macro_rules! on_one_server {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = Server::start();
                contract::$name(&Venue::new(server.url())).await;
            }
        )*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_same_on_a_cluster_of_three() {
            let cluster = Cluster::start(3);
            let urls = cluster.urls();
            let mut nodes = urls.iter().cycle();
            $(
                println!("{}", stringify!($name));
                let url = nodes.next().expect("three nodes").clone();
                contract::$name(&Venue::new(url).named(stringify!($name))).await;
            )*
        }
    };
}

on_one_server![
    all_processes_together_never_hold_more_than_the_limit,
    who_comes_first_goes_first_in_whatever_process,
    a_higher_priority_goes_first,
    lanes_share_by_weight,
    a_lane_is_known_by_its_name_in_all_processes,
    what_is_reserved_is_left_to_whom_it_is_for,
    a_rate_counts_all_processes,
    a_load_is_charged_and_settled,
    nobody_waits_beyond_the_deadline,
    the_queue_is_bounded,
    a_full_queue_makes_place_for_a_higher_priority,
    without_time_it_asks_once,
    who_gives_up_leaves_nothing_behind,
    a_grant_that_nobody_collects_goes_to_the_next,
    sets_mix_shared_and_local_resources,
    sets_of_shared_resources_do_not_deadlock,
    a_limit_can_be_changed_for_all,
    the_higher_revision_counts,
    tokens_grow,
    a_closed_limiter_turns_everybody_away,
    a_clean_shutdown_gives_everything_back,
    a_cache_needs_no_round_trip_while_nobody_waits,
    a_cache_gives_way_to_those_who_wait,
    caches_together_never_hold_more_than_the_limit,
    health_says_who_shares,
    routes_are_limited_across_processes,
];
