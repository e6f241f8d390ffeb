//! `template.yaml` routes every path to the function that serves it, and loses no record of the
//! stream.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use purchase::pending;
use serde_json::{Value, json};
use shared::domain::event::SOURCE;
use shared::store::keys;
use tower::ServiceExt;

use crate::support::api::Api;
use crate::support::routes::{WEBHOOK, routes};
use crate::support::template::{paths, router, template_routes};

#[tokio::test]
async fn every_function_serves_its_paths() {
    let api = Api::start().await;
    let paths = paths();
    assert!(!paths.is_empty());
    for (function, path) in paths {
        let request = Request::trace(&path).body(Body::empty()).unwrap();
        let router = router(&function, api.stack.app().clone());
        assert_eq!(router.oneshot(request).await.unwrap().status(), 405, "{function} {path}");
    }
}

/// Compares the methods of every path with the list of routes that the tests of callers use.
#[tokio::test]
async fn the_list_of_routes_contains_every_method_of_every_path() {
    let api = Api::start().await;
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in routes() {
        let path = route.path.split('?').next().unwrap().to_owned();
        known.entry(path).or_default().insert(route.method.to_string());
    }
    let mut there = BTreeMap::new();
    for (function, path) in paths() {
        let request = Request::trace(&path).body(Body::empty()).unwrap();
        let router = router(&function, api.stack.app().clone());
        let response = router.oneshot(request).await.unwrap();
        let allowed = response.headers()["allow"].to_str().unwrap().split(',');
        // A router answers HEAD for every GET.
        let allowed = allowed.filter(|method| *method != "HEAD").map(str::to_owned);
        there.insert(path, allowed.collect::<BTreeSet<String>>());
    }
    assert_eq!(there, known);
    let mut in_template: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in template_routes() {
        in_template.entry(route.path).or_default().insert(route.method);
    }
    assert_eq!(in_template, known);
}

/// A route with an authorizer that takes OPTIONS would answer the preflight of a browser with 401.
#[test]
fn no_route_with_an_authorizer_takes_options() {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let routes = template_routes();
    for route in &routes {
        let is_named = methods.contains(&route.method.as_str());
        assert!(is_named || !route.has_authorizer, "{} {}", route.method, route.path);
    }
    let public: BTreeSet<&str> = routes
        .iter()
        .filter(|route| !route.has_authorizer)
        .map(|route| route.path.as_str())
        .collect();
    let anyone =
        ["/plans", "/prices", "/openapi.json", "/docs", "/problems/busy", "/health", WEBHOOK];
    assert_eq!(public, BTreeSet::from(anyone));
    let default = &properties("Panel")["Events"]["Unmatched"]["Properties"];
    assert_eq!((&default["Path"], &default["Method"]), (&Value::Null, &Value::Null));
    assert_eq!(default["Auth"]["Authorizer"], "NONE");
}

/// The properties of a resource.
fn properties(name: &str) -> Value {
    engine::template().unwrap()["Resources"][name]["Properties"].take()
}

fn attribute(of: &str) -> Value {
    json!({ "!GetAtt": of })
}

/// One caller cannot use up the shared capacity.
#[test]
fn parameters_limit_the_load() {
    let parameter = |name: &str| json!({ "!Ref": name });
    let routes = &properties("Api")["DefaultRouteSettings"];
    assert_eq!(routes["ThrottlingRateLimit"], parameter("ApiRateLimit"));
    assert_eq!(routes["ThrottlingBurstLimit"], parameter("ApiBurstLimit"));
    let queued = &properties("Charge")["Events"]["Queued"]["Properties"];
    assert_eq!(queued["ScalingConfig"]["MaximumConcurrency"], parameter("QueueConcurrency"));
    let background = ["Refill", "Relay"].map(|name| (name, "BackgroundConcurrency"));
    let of_api =
        ["Purchase", "Balance", "Hold", "Team", "Panel"].map(|name| (name, "ReservedConcurrency"));
    let charge = ("Charge", "ChargeConcurrency");
    for (function, name) in background.into_iter().chain(of_api).chain([charge]) {
        let none = parameter("AWS::NoValue");
        let reserved = json!({ "!If": [format!("Has{name}"), parameter(name), none] });
        assert_eq!(properties(function)["ReservedConcurrentExecutions"], reserved, "{function}");
    }
}

/// An index with less throughput than the table would throttle the writes of the table.
#[test]
fn the_table_and_its_indexes_have_the_same_throughput() {
    let table = properties("Table");
    let parameter = |name: &str| json!({ "!Ref": name });
    let maximum = json!({
        "MaxReadRequestUnits": parameter("MaximumReadUnits"),
        "MaxWriteRequestUnits": parameter("MaximumWriteUnits"),
    });
    let warm = json!({
        "ReadUnitsPerSecond": parameter("WarmReadUnits"),
        "WriteUnitsPerSecond": parameter("WarmWriteUnits"),
    });
    let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
    assert_eq!(indexes.len(), 2);
    for each in indexes.iter().chain([&table]) {
        assert_eq!((&each["OnDemandThroughput"], &each["WarmThroughput"]), (&maximum, &warm));
    }
}

/// The conditions of a transaction need a permission of their own.
#[test]
fn only_purchase_may_check_conditions() {
    let template = engine::template().unwrap();
    let functions = template["Resources"].as_object().unwrap().iter();
    let functions = functions.filter(|(_, it)| it["Type"] == "AWS::Serverless::Function");
    let may_check = functions.filter(|(_, function)| {
        let statements = &function["Properties"]["Policies"][0]["Statement"];
        statements.to_string().contains("dynamodb:ConditionCheckItem")
    });
    assert_eq!(may_check.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["Purchase"]);
}

/// No function may update or delete entries of the ledger.
#[test]
fn no_function_may_change_the_ledger() {
    let template = engine::template().unwrap();
    let functions = template["Resources"].as_object().unwrap().iter();
    let functions = functions.filter(|(_, it)| it["Type"] == "AWS::Serverless::Function");
    let final_entries = json!({
        "Effect": "Deny",
        "Action": ["dynamodb:DeleteItem", "dynamodb:UpdateItem"],
        "Resource": attribute("Table.Arn"),
        "Condition": { "ForAnyValue:StringLike": { "dynamodb:LeadingKeys": "ENTRY#*" } },
    });
    for (name, function) in functions {
        let policies = &function["Properties"]["Policies"];
        let statements = policies[0]["Statement"].as_array().unwrap();
        assert!(statements.contains(&final_entries), "{name}");
        let allowed = statements.iter().filter(|it| it["Effect"] == "Allow");
        let allowed: String = allowed.map(|it| it["Action"].to_string()).collect();
        // These write many items or use another language, in which the keys are not checked in this
        // way.
        assert!(!allowed.contains("Batch") && !allowed.contains("PartiQL"), "{name}: {allowed}");
        assert!(!allowed.contains('*'), "{name}: {allowed}");
    }
    let entry = keys::entry_of(&"t".parse().unwrap(), &"e_1".parse().unwrap());
    assert!(entry["pk"].as_s().unwrap().starts_with("ENTRY#"));
}

/// A billing message changes subscriptions, so its bus, source and account are restricted.
#[test]
fn messages_must_come_from_the_billing_bus_and_account() {
    let event = properties("Team")["Events"]["BillingMessages"]["Properties"].take();
    let parameter = |name: &str| json!({ "!Ref": name });
    assert_eq!(event["EventBusName"], parameter("BillingBus"));
    let own = parameter("AWS::AccountId");
    let account = json!([{ "!If": ["HasBillingAccount", parameter("BillingAccount"), own] }]);
    assert_eq!(event["Pattern"]["account"], account);
    assert_eq!(event["Pattern"]["source"], json!([parameter("BillingSource")]));
}

/// The alarms on errors and throttles include every function.
#[test]
fn every_function_has_alarms() {
    let template = engine::template().unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let is_function = |resource: &Value| resource["Type"] == "AWS::Serverless::Function";
    let functions: BTreeSet<&str> = resources
        .iter()
        .filter(|(_, resource)| is_function(resource))
        .map(|(name, _)| name.as_str())
        .collect();
    for (alarm, metric) in
        [("FunctionErrorsAlarm", "Errors"), ("FunctionThrottlesAlarm", "Throttles")]
    {
        let metrics = properties(alarm)["Metrics"].take();
        let watched: BTreeSet<&str> = metrics
            .as_array()
            .unwrap()
            .iter()
            .map(|metric| &metric["MetricStat"]["Metric"])
            .filter(|watched| watched["MetricName"] == metric)
            .map(|watched| watched["Dimensions"][0]["Value"]["!Ref"].as_str().unwrap())
            .collect();
        assert_eq!(watched, functions, "{alarm}");
    }
}

/// A run of the schedule begins purchases while more than the reserved time is left.
#[test]
fn the_timeout_of_purchase_leaves_time_for_pending_purchases() {
    let timeout = properties("Purchase")["Timeout"].as_u64().unwrap();
    assert!(timeout >= 2 * pending::TIME_RESERVED.as_secs(), "{timeout} seconds");
}

/// The schedules of two stacks in one account have different names.
#[test]
fn the_schedules_have_the_name_of_their_stack() {
    for (function, event, name) in
        [("Refill", "Hourly", "refill"), ("Purchase", "Pending", "pending-purchases")]
    {
        let schedule = &properties(function)["Events"][event]["Properties"];
        let name = format!("${{AWS::StackName}}-{name}");
        assert_eq!(schedule["Name"], json!({ "!Sub": name }));
    }
}

/// Asserts that a queue has the common retention and an alarm.
fn assert_queue_with_alarm(name: &str) {
    let queue = json!({ "MessageRetentionPeriod": 1_209_600, "SqsManagedSseEnabled": true });
    assert_eq!(properties(name), queue);
    let alarm = properties(&format!("{name}Alarm"));
    let dimensions =
        json!([{ "Name": "QueueName", "Value": attribute(&format!("{name}.QueueName")) }]);
    assert_eq!((&alarm["Dimensions"], &alarm["Threshold"]), (&dimensions, &json!(0)));
    assert_eq!(alarm["AlarmActions"], properties("FailedChargesAlarm")["AlarmActions"]);
}

#[test]
fn the_rule_of_unreadable_records_may_send_to_their_queue() {
    let rule = properties("UnreadableRecordsRule");
    let queue = attribute("UnreadableRecords.Arn");
    assert_eq!(
        rule["EventBusName"],
        properties("Relay")["Environment"]["Variables"]["EVENT_BUS_NAME"]
    );
    assert_eq!(rule["Targets"], json!([{ "Id": "Queue", "Arn": queue }]));
    let policy = properties("UnreadableRecordsPolicy");
    assert_eq!(policy["Queues"], json!([{ "!Ref": "UnreadableRecords" }]));
    let statement = json!([{
        "Effect": "Allow",
        "Principal": { "Service": "events.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": { "ArnEquals": { "aws:SourceArn": attribute("UnreadableRecordsRule.Arn") } },
    }]);
    assert_eq!(policy["PolicyDocument"]["Statement"], statement);
    assert_queue_with_alarm("UnreadableRecords");
}

#[test]
fn the_rule_of_unreadable_records_matches_no_event() {
    let pattern = properties("UnreadableRecordsRule")["EventPattern"].take();
    assert_eq!(pattern, json!({ "source": [relay::unreadable::SOURCE] }));
    assert_ne!(relay::unreadable::SOURCE, SOURCE);
}

#[test]
fn the_rule_of_refused_charges_sends_them_to_the_dead_letter_queue() {
    let rule = properties("RefusedChargesRule");
    let queue = attribute("FailedCharges.Arn");
    let variables = properties("Charge")["Environment"]["Variables"].take();
    assert_eq!(rule["EventBusName"], variables["EVENT_BUS_NAME"]);
    assert_eq!(rule["EventPattern"], json!({ "source": [charge::SOURCE] }));
    assert_ne!(charge::SOURCE, SOURCE);
    let target = json!([{ "Id": "Queue", "Arn": queue, "InputPath": "$.detail" }]);
    assert_eq!(rule["Targets"], target);
    let redrive = properties("Charges")["RedrivePolicy"].take();
    assert_eq!(redrive["deadLetterTargetArn"], queue);
    assert_eq!(redrive["maxReceiveCount"], charge::DELIVERIES_MAX);
    let statement = properties("FailedChargesPolicy")["PolicyDocument"]["Statement"].take();
    let source = json!({ "ArnEquals": { "aws:SourceArn": attribute("RefusedChargesRule.Arn") } });
    assert_eq!((&statement[0]["Resource"], &statement[0]["Condition"]), (&queue, &source));
}

#[test]
fn records_are_retried_while_the_stream_keeps_them() {
    let stream = properties("Relay")["Events"]["Stream"]["Properties"].take();
    assert_eq!(stream["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(stream["MaximumRetryAttempts"], -1);
    assert_eq!(stream["MaximumRecordAgeInSeconds"], 24 * 60 * 60);
    let destination = &stream["DestinationConfig"]["OnFailure"]["Destination"];
    assert_eq!(*destination, attribute("FailedEvents.Arn"));
    assert_queue_with_alarm("FailedEvents");
}
