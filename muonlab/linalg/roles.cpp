#include "muonlab/linalg/roles.h"

#include <array>

#include "muonlab/core/names.h"

namespace muonlab {

namespace {

constexpr std::array<core::Named<Role>, 9> kRoles = {
    {{Role::kMatrix, "matrix"},
     {Role::kConvKernel, "conv kernel"},
     {Role::kExperts, "experts"},
     {Role::kLoraFactor, "lora factor"},
     {Role::kEmbedding, "embedding"},
     {Role::kHead, "head"},
     {Role::kGain, "gain"},
     {Role::kBias, "bias"},
     {Role::kVector, "vector"}}};

}  // namespace

std::string_view role_name(Role role) {
  return core::name_in<Role>(kRoles, role);
}

Role role_from_name(std::string_view name) {
  return core::value_in<Role>(kRoles, name, "role");
}

bool is_hidden(Role role) {
  return role == Role::kMatrix || role == Role::kConvKernel ||
         role == Role::kExperts || role == Role::kLoraFactor;
}

std::vector<RowBlock> per_head(const std::string& name, std::int64_t count,
                               std::int64_t rows) {
  std::vector<RowBlock> blocks;
  for (std::int64_t head = 0; head < count; ++head) {
    blocks.push_back({name + "." + std::to_string(head), rows});
  }
  return blocks;
}

std::vector<RowBlock> query_key_value(std::int64_t query_rows,
                                      std::int64_t key_rows,
                                      std::int64_t value_rows) {
  return {{"query", query_rows}, {"key", key_rows}, {"value", value_rows}};
}

std::vector<RowBlock> interleaved_query_key_value(
    std::int64_t groups, std::int64_t queries_per_group,
    std::int64_t head_rows) {
  std::vector<RowBlock> blocks;
  for (std::int64_t group = 0; group < groups; ++group) {
    blocks.push_back({"query", queries_per_group * head_rows});
    blocks.push_back({"key", head_rows});
    blocks.push_back({"value", head_rows});
  }
  return blocks;
}

}  // namespace muonlab
