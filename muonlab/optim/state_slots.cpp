// What each rule keeps between steps.
#include <algorithm>
#include <cmath>

#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

using Kind = StateSlot::Kind;

struct Shape {
  std::int64_t rows;
  std::int64_t columns;
};

std::vector<StateSlot> slots(const MatrixRule& r, const Shape& /*shape*/) {
  std::vector<StateSlot> slots = {{"momentum"}};
  if (r.pre == PreTransform::kSecondMoment) {
    slots.push_back({"pre_second_moment"});
  }
  if (r.post == PostTransform::kSecondMoment) {
    slots.push_back({"second_moment"});
  }
  if (r.post == PostTransform::kRowSecondMoment) {
    slots.push_back({"row_second_moment", Kind::kPerRow});
  }
  if (r.scale == Scale::kNamo) {
    slots.push_back({"norm_second_moment", Kind::kOwn, {}});
  }
  if (r.scale == Scale::kHyperball) {
    slots.push_back({"radius", Kind::kOwn, {}});
  }
  return slots;
}

std::vector<StateSlot> slots(const AdamRule& /*r*/, const Shape& /*shape*/) {
  return {{"first_moment"}, {"second_moment"}};
}
std::vector<StateSlot> slots(const SgdRule& /*r*/, const Shape& /*shape*/) {
  return {{"momentum"}};
}
std::vector<StateSlot> slots(const LionRule& /*r*/, const Shape& /*shape*/) {
  return {{"momentum"}};
}
std::vector<StateSlot> slots(const SignumRule& /*r*/, const Shape& /*shape*/) {
  return {{"momentum"}};
}

// A square factor for each side up to max_dim, and a companion of its shape.
void add_sides(const Shape& shape, std::int64_t max_dim, const char* companion,
               std::vector<StateSlot>& slots) {
  const auto add = [&](const std::string& side, std::int64_t size) {
    if (size > max_dim) return;
    slots.push_back({side, Kind::kOwn, {size, size}});
    slots.push_back({side + companion, Kind::kOwn, {size, size}});
  };
  add("left", shape.rows);
  add("right", shape.columns);
}

std::vector<StateSlot> slots(const ShampooRule& r, const Shape& shape) {
  std::vector<StateSlot> slots = {{"momentum"}};
  if (r.graft == Graft::kAdam) slots.push_back({"second_moment"});
  add_sides(shape, r.max_dim, "_root", slots);
  return slots;
}

std::vector<StateSlot> slots(const SoapRule& r, const Shape& shape) {
  std::vector<StateSlot> slots = {{"first_moment"}, {"second_moment"}};
  add_sides(shape, r.max_dim, "_basis", slots);
  return slots;
}

std::vector<StateSlot> slots(const DionRule& r, const Shape& shape) {
  const std::int64_t shorter = std::min(shape.rows, shape.columns);
  const auto by_fraction = static_cast<std::int64_t>(
      std::ceil(r.rank_fraction * static_cast<double>(shorter)));
  const std::int64_t rank =
      std::min(r.rank > 0 ? r.rank : by_fraction, shorter);
  return {{"momentum"}, {"basis", Kind::kOwn, {shape.columns, rank}}};
}

std::vector<StateSlot> slots(const Dion2Rule& /*r*/, const Shape& /*shape*/) {
  return {{"momentum"}};
}

std::vector<StateSlot> slots(const MuownRule& /*r*/, const Shape& /*shape*/) {
  return {{"momentum"},
          {"direction"},
          {"gain", Kind::kPerRow},
          {"gain_first_moment", Kind::kPerRow},
          {"gain_second_moment", Kind::kPerRow}};
}

}  // namespace

std::vector<StateSlot> state_slots(const UpdateRule& rule, std::int64_t rows,
                                   std::int64_t columns) {
  const Shape shape{rows, columns};
  return std::visit([&](const auto& r) { return slots(r, shape); }, rule);
}

}  // namespace muonlab::optim
