//! Code generated from OpenTelemetry's own contract in `proto/opentelemetry`, in the modules that it has itself.

pub mod collector {
    //! What a collector is asked.
    pub mod trace {
        //! About traces.
        pub mod v1 {
            //! Version 1, which is frozen.
            tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
        }
    }
}

pub mod common {
    //! Attributes.
    pub mod v1 {
        //! Version 1, which is frozen.
        tonic::include_proto!("opentelemetry.proto.common.v1");
    }
}

pub mod resource {
    //! Who tells.
    pub mod v1 {
        //! Version 1, which is frozen.
        tonic::include_proto!("opentelemetry.proto.resource.v1");
    }
}

pub mod trace {
    //! Steps of traces.
    pub mod v1 {
        //! Version 1, which is frozen.
        tonic::include_proto!("opentelemetry.proto.trace.v1");
    }
}
