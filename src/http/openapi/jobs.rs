//! The routes of batch jobs, as `routes.rs` has the others.

use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Content, ResponseBuilder};

use super::answers::{events, json, named, text, written};
use super::forms::upload;
use super::routes::{Answers, JOBS, LOOKED, header, idempotency, in_path, in_query, operation};

/// Of a route about one job.
const FOUND: &[&str] = &["401", "403", "404", "429", "500", "503"];

pub fn add(add: &mut impl FnMut(&str, HttpMethod, OperationBuilder)) {
    let id = || in_path("id", "The job's.");
    let prefer = utoipa::openapi::ObjectBuilder::new().schema_type(Type::String);
    add(
        "/v1/jobs",
        HttpMethod::Post,
        operation(
            JOBS,
            "Files to be transcribed in turn; what is answered with 202 is not lost",
            &["400", "401", "403", "408", "409", "413", "429", "500", "503"],
        )
        .parameter(idempotency())
        .parameter(header("Prefer", prefer, "Of /transcribe: respond-async makes a job of the request."))
        .request_body(Some(upload("JobForm")))
        .response("202", json("It is taken.", named("Job"))),
    );
    add(
        "/v1/jobs",
        HttpMethod::Get,
        operation(JOBS, "Jobs, the newest first", LOOKED)
            .responses_of(&["503"])
            .parameter(in_query("limit", Type::Integer, "1 to 100; 20 where it is not given."))
            .parameter(in_query("after", Type::String, "The last job of the page before."))
            .response("200", json("A page of them.", named("JobList"))),
    );
    add(
        "/v1/jobs/{id}",
        HttpMethod::Get,
        operation(JOBS, "How far it is, in all and item by item", FOUND)
            .responses_of(&["400"])
            .parameter(id())
            .parameter(in_query("from", Type::Integer, "The first item that is told."))
            .parameter(in_query("limit", Type::Integer, "Items that are told, 1,000 at most."))
            .response("200", json("The job.", named("Job"))),
    );
    add(
        "/v1/jobs/{id}",
        HttpMethod::Delete,
        operation(
            JOBS,
            "A job under way is cancelled; one that has ended is forgotten, audio and text",
            FOUND,
        )
        .parameter(id())
        .response("200", json("It is cancelled.", named("Job")))
        .response("204", ResponseBuilder::new().description("It is forgotten.")),
    );
    let lines = ResponseBuilder::new().description(
        "Lines of JSON: `item`, `name`, `state`, and `result` (a TranscriptionVerbose) or `error`.",
    );
    add(
        "/v1/jobs/{id}/results",
        HttpMethod::Get,
        operation(JOBS, "Transcripts, a line for each item as it ends", FOUND)
            .responses_of(&["400"])
            .parameter(id())
            .parameter(in_query("after", Type::Integer, "Lines that the caller has already."))
            .parameter(in_query(
                "follow",
                Type::Boolean,
                "false: those that are there, without waiting for more.",
            ))
            .response("200", lines.content("application/x-ndjson", Content::new(Some(text())))),
    );
    let says = "`progress`: the job whenever it changes; `end`: the last time.";
    add(
        "/v1/jobs/{id}/events",
        HttpMethod::Get,
        operation(JOBS, "How far it is, as server-sent events", FOUND)
            .parameter(id())
            .response("200", events(ResponseBuilder::new().description(says), says)),
    );
    add(
        "/v1/jobs/{id}/items/{item}",
        HttpMethod::Get,
        operation(JOBS, "One transcript, in any format", FOUND)
            .responses_of(&["400", "409"])
            .parameter(id())
            .parameter(in_path("item", "Its number, from 0."))
            .parameter(in_query("response_format", Type::String, "As of /v1/subtitles, with its rules."))
            .response("200", written(json("The transcript.", named("TranscriptionVerbose")))),
    );
    add(
        "/v1/estimate",
        HttpMethod::Get,
        operation(JOBS, "How long so much audio would take", LOOKED)
            .responses_of(&["503"])
            .parameter(in_query("audio_seconds", Type::Number, "Of each file."))
            .parameter(in_query("files", Type::Integer, "So many such files; 1 where it is not given."))
            .response("200", json("A guess, at the speed so far.", named("JobEstimate"))),
    );
}
