//! [`InPlace`]: says of rows that they are placed by some columns, and changes nothing. A join looks at this before it runs.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};

/// Rows whose parts are those of these columns: rows that are equal in them are in the same part, here and in what they are joined
/// with.
#[derive(Debug)]
pub(crate) struct InPlace {
    input: Arc<dyn ExecutionPlan>,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl InPlace {
    /// Says it of these rows.
    ///
    /// # Errors
    /// There is no such column.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, columns: Vec<usize>) -> Result<Self> {
        let schema = input.schema();
        let mut by: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        for column in &columns {
            let Some(field) = schema.fields().get(*column) else {
                return internal_err!("rows have no column {column}");
            };
            by.push(Arc::new(Column::new(field.name(), *column)));
        }
        let parts = input.output_partitioning().partition_count();
        let of_input = PlanProperties::clone(input.properties());
        let properties = Arc::new(of_input.with_partitioning(Partitioning::Hash(by, parts)));
        Ok(InPlace { input, columns, properties })
    }

    /// The columns.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }
}

impl DisplayAs for InPlace {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InPlace: the rows to be joined are here")
    }
}

impl ExecutionPlan for InPlace {
    fn name(&self) -> &str {
        "InPlace"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(InPlace::new(input, self.columns.clone())?)),
            Err(_) => internal_err!("rows in place have one input"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

/// A plan with other inputs.
pub(crate) fn with_inputs(
    plan: Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}
