//! Compiles the contract of OpenTelemetry's collectors, as its makers publish it, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}/opentelemetry");
    let service = "opentelemetry/proto/collector/trace/v1/trace_service.proto";
    let descriptors = protox::compile([service], [root])?;
    tonic_prost_build::configure().disable_comments(["."]).compile_fds(descriptors)?;
    Ok(())
}
