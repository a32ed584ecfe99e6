//! Multi-head attention of one row over its own keys and values: the plain version, which every kernel must agree with.

use candle_core::{DType, Result, Tensor};

/// What attention gives, and the scores on the way there for those who align.
#[derive(Debug)]
pub struct Attended {
    /// `[heads, queries, head]`.
    pub values: Tensor,
    /// `[heads, queries, keys]`: scaled products before the softmax.
    pub scores: Tensor,
}

/// `q`: `[heads, queries, head]`, not yet scaled; `k`, `v`: `[heads, keys, head]`; `mask`: `[queries, keys]`, added.
///
/// One row at a time: no row's result can depend on who else is in the batch, and the scores of one row are all that
/// memory must hold. The softmax is computed in f32 whatever the weights are.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Attended> {
    let head = q.dim(2)?;
    let scale = 1.0 / (head as f64).sqrt();
    let scores = (q * scale)?.matmul(&k.transpose(1, 2)?)?;
    let masked = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores.clone(),
    };
    let weights = candle_nn::ops::softmax_last_dim(&masked.to_dtype(DType::F32)?)?.to_dtype(v.dtype())?;
    Ok(Attended { values: weights.matmul(v)?, scores })
}

/// `[queries, keys]`: query `i` stands at `first + i` and sees keys up to itself.
pub fn causal_mask(first: usize, queries: usize, like: &Tensor) -> Result<Tensor> {
    let keys = first + queries;
    let values: Vec<f32> = (0..queries)
        .flat_map(|query| {
            (0..keys).map(move |key| if key <= first + query { 0.0 } else { f32::NEG_INFINITY })
        })
        .collect();
    Tensor::from_vec(values, (queries, keys), like.device())?.to_dtype(like.dtype())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_query_sees_itself_and_what_came_before() {
        let like = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let mask = causal_mask(1, 2, &like).unwrap().to_vec2::<f32>().unwrap();
        let never = f32::NEG_INFINITY;
        assert_eq!(mask, [[0.0, 0.0, never], [0.0, 0.0, 0.0]]);
    }

    #[test]
    fn equal_scores_average_the_values() {
        let device = Device::Cpu;
        let q = Tensor::zeros((1, 1, 4), DType::F32, &device).unwrap();
        let k = Tensor::ones((1, 2, 4), DType::F32, &device).unwrap();
        let v = Tensor::new(&[[[1f32, 2., 3., 4.], [3., 4., 5., 6.]]], &device).unwrap();
        let attended = attend(&q, &k, &v, None).unwrap();
        assert_eq!(attended.values.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [2., 3., 4., 5.]);
    }
}
