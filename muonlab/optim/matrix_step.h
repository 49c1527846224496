// What a matrix rule sees of one logical matrix in one step, and what each
// rule keeps of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// A tensor that a rule keeps between steps. All start as zeros.
struct StateSlot {
  enum class Kind {
    kLikeWeight,  ///< the weight's shape, one tensor per parameter
    kPerRow,      ///< a value for each row, one tensor per parameter
    kOwn,         ///< `shape`, one tensor per logical matrix
  };
  std::string name;
  Kind kind = Kind::kLikeWeight;
  std::vector<std::int64_t> shape = {};
};

/// For a logical matrix of `rows` x `columns`; element-wise rules have
/// kLikeWeight slots alone and do not look at the shape.
[[nodiscard]] std::vector<StateSlot> state_slots(const UpdateRule& rule,
                                                 std::int64_t rows,
                                                 std::int64_t columns);

/// One logical matrix, dense, of float32 or float64.
struct MatrixStep {
  at::Tensor weight;    ///< (rows, columns); changed
  at::Tensor gradient;  ///< (rows, columns); read
  /// By slot name, each of the shape that state_slots gives; changed in place.
  std::map<std::string, at::Tensor> state;
  std::int64_t t = 1;  ///< this update's number
  double lr = 0;
  double weight_decay = 0;
  std::string who;  ///< the parameter's name and the block's, for errors
};

/// Throws Error(kInvalidArgument), naming `who`, when the rule cannot start
/// from this (rows, columns) weight: a norm of zero that is to be kept.
void check_start(const UpdateRule& rule, const at::Tensor& weight,
                 const std::string& who);

/// One step of each rule: changes weight and state, nothing else.
void update(const MatrixRule& rule, MatrixStep& step);
void update(const ShampooRule& rule, MatrixStep& step);
void update(const SoapRule& rule, MatrixStep& step);
void update(const DionRule& rule, MatrixStep& step);
void update(const Dion2Rule& rule, MatrixStep& step);
void update(const MuownRule& rule, MatrixStep& step);

}  // namespace muonlab::optim
