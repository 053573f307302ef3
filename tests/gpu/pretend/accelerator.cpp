// A pretend accelerator: its memory is the host's and its arithmetic the CPU's, but its tensors carry another device.
//
// An operator that is given a CPU tensor beside one of ours is refused as CUDA refuses it. Launches, copies and
// synchronisations are counted, and so are the bytes of "device" memory. operators_without_device_check.h is generated.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/as_strided_cpu_dispatch.h>
#include <ATen/ops/set_cpu_dispatch.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/extension.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <unordered_set>

#include "operators_without_device_check.h"

using at::Tensor;
using Stack = torch::jit::Stack;
using Names = std::unordered_set<std::string>;
namespace py = pybind11;
constexpr auto PRETEND = c10::DeviceType::PrivateUse1;
static const c10::Device DEVICE(PRETEND, 0);

// Operators whose `indices` may lie on the CPU, as on CUDA. For those that read, torch itself copies indices to the
// device and expands masks, which is counted there; for those that write, it is counted here.
static const Names READING_AT = {"aten::index.Tensor", "aten::index.Tensor_out", "aten::_unsafe_index.Tensor"};
static const Names WRITING_AT = {
    "aten::index_put_", "aten::index_put", "aten::index_put.out", "aten::_index_put_impl_", "aten::_unsafe_index_put"};
// Operators whose result has a size that only the device knows: the host waits for it.
static const Names SYNCHRONISING = {
    "aten::nonzero",        "aten::nonzero.out", "aten::masked_select", "aten::masked_select.out",
    "aten::_unique2",       "aten::unique_dim",  "aten::is_nonzero",    "aten::unique_consecutive",
    "aten::equal",          "aten::bincount",    "aten::repeat_interleave.Tensor"};

// ---- What is counted

static std::atomic<int64_t> held_bytes{0}, peak_bytes{0}, launches{0}, to_device{0}, to_host{0}, refusals{0};
static bool only_lists = false;       // refuse nothing, only report
static bool reports_launches = false; // launches are many: they reach the observer only on request
static py::object* observer = nullptr; // called with (kind, operator)

static void report(const char* kind, const std::string& op) {
  if (!observer) return;
  py::gil_scoped_acquire gil;
  (*observer)(kind, op);
}
static void count_launch(const std::string& op) {
  launches++;
  if (reports_launches) report("launch", op);
}
static void count_copy_to_device(const std::string& op) { to_device++; report("to_device", op); }
static void count_copy_to_host(const std::string& op) { to_host++; report("to_host", op); }
static void count_bytes(int64_t bytes) {
  const int64_t now = held_bytes += bytes;
  int64_t seen = peak_bytes.load();
  while (now > seen && !peak_bytes.compare_exchange_weak(seen, now)) {}
}
static void refuse(const std::string& op, const std::string& argument) {
  refusals++;
  report("refused", op + " " + argument);
  TORCH_CHECK(only_lists, "Expected all tensors to be on the same device, but found at least two devices, pretend:0 "
              "and cpu! (", argument, " in ", op, ")");
}

// ---- Memory

struct Block {
  int64_t bytes;
  void* memory;          // to be freed, or null
  Tensor* lender;        // the CPU tensor whose memory it is, or null
};
static void release(void* context) {
  auto* block = static_cast<Block*>(context);
  held_bytes -= block->bytes;
  if (block->lender) delete block->lender; else free(block->memory);
  delete block;
}
struct Allocator final : at::Allocator {
  at::DataPtr allocate(size_t bytes) override {
    void* memory = nullptr;
    TORCH_CHECK(!bytes || !posix_memalign(&memory, 64, bytes), "out of memory");
    count_bytes(bytes);
    return {memory, new Block{static_cast<int64_t>(bytes), memory, nullptr}, &release, DEVICE};
  }
  at::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { memcpy(to, from, bytes); }
};
static Allocator allocator;
REGISTER_ALLOCATOR(c10::kPrivateUse1, &allocator);

// ---- The device: there is one, and it is always ready

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::Stream only() const { return c10::Stream(c10::Stream::DEFAULT, DEVICE); }
  c10::DeviceType type() const override { return PRETEND; }
  c10::Device exchangeDevice(c10::Device) const override { return DEVICE; }
  c10::Device getDevice() const override { return DEVICE; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return only(); }
  c10::Stream getNewStream(c10::Device, int = 0) const override { return only(); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
  const at::Generator& getDefaultGenerator(at::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Device getDeviceFromPtr(void*) const override { return DEVICE; }
  at::DeviceIndex deviceCount() const override { return 1; }
  at::DeviceIndex getCurrentDevice() const override { return 0; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto* impl = storage.unsafeGetStorageImpl();
    auto fresh = allocator.allocate(bytes);
    if (impl->data()) memcpy(fresh.get(), impl->data(), std::min(bytes, impl->nbytes()));
    impl->set_data_ptr_noswap(std::move(fresh));
    impl->set_nbytes(bytes);
  }
};

// ---- One memory, seen from either device

static bool is_ours(const Tensor& t) { return t.defined() && t.device().type() == PRETEND; }

static Tensor over(const Tensor& like, at::DataPtr memory, c10::Allocator* with, c10::DispatchKey key) {
  auto storage = c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), like.storage().nbytes(), std::move(memory), with, true);
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(std::move(storage)), c10::DispatchKeySet(key), like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  if (like.is_conj()) made._set_conj(true);
  return made;
}
static Tensor as_cpu(const Tensor& t) {
  if (!is_ours(t)) return t;
  auto* kept = new c10::Storage(t.storage());
  at::DataPtr memory(kept->mutable_data(), kept, [](void* s) { delete static_cast<c10::Storage*>(s); }, at::kCPU);
  return over(t, std::move(memory), c10::GetCPUAllocator(), c10::DispatchKey::CPU);
}
static c10::ScalarType allowed(c10::ScalarType type) {
  TORCH_CHECK_TYPE(type != at::kDouble, "Cannot convert a Tensor to float64 dtype as the pretend device, like Apple's "
                   "GPUs, doesn't support float64. Please use float32 instead.");
  return type;
}
static Tensor as_ours(const Tensor& t) {  // the CPU tensor's memory is ours from now on
  allowed(t.scalar_type());
  const auto bytes = static_cast<int64_t>(t.storage().nbytes());
  count_bytes(bytes);
  auto* block = new Block{bytes, nullptr, new Tensor(t)};
  at::DataPtr memory(t.storage().mutable_data(), block, &release, DEVICE);
  return over(t, std::move(memory), &allocator, c10::DispatchKey::PrivateUse1);
}

// ---- Operators on memory

using Sizes = c10::IntArrayRef;
using SymSizes = c10::SymIntArrayRef;
template <class T> using Maybe = std::optional<T>;
static const c10::DispatchKeySet OURS(c10::DispatchKey::PrivateUse1);

static Tensor empty(Sizes size, Maybe<c10::ScalarType> dtype, Maybe<c10::Layout>, Maybe<c10::Device>, Maybe<bool>,
                    Maybe<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator, OURS, allowed(c10::dtype_or_default(dtype)), format);
}
static Tensor empty_strided(Sizes size, Sizes stride, Maybe<c10::ScalarType> dtype, Maybe<c10::Layout>,
                            Maybe<c10::Device>, Maybe<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator, OURS, allowed(c10::dtype_or_default(dtype)));
}
static Tensor as_strided(const Tensor& self, SymSizes size, SymSizes stride, Maybe<c10::SymInt> offset) {
  return at::cpu::as_strided_symint(self, size, stride, offset);
}
static Tensor view(const Tensor& self, SymSizes size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}
static Tensor reshape_alias(const Tensor& self, SymSizes size, SymSizes stride) {
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}
static Tensor unfold(const Tensor& self, int64_t dimension, int64_t size, int64_t step) {
  return at::native::unfold(self, dimension, size, step);
}
static const Tensor& resize_(const Tensor& self, SymSizes size, Maybe<at::MemoryFormat> format) {
  return at::native::resize_(self, C10_AS_INTARRAYREF_SLOW(size), format);
}
static Tensor copy_from(const Tensor& source, const Tensor& target, bool) {
  if (is_ours(source) && is_ours(target)) count_launch("aten::copy_");
  else if (is_ours(source)) count_copy_to_host("aten::copy_");
  else count_copy_to_device("aten::copy_");
  as_cpu(target).copy_(as_cpu(source));
  return target;
}
static Tensor copy_from_and_resize(const Tensor& source, const Tensor& target) {
  at::native::resize_(target, source.sizes(), std::nullopt);
  return copy_from(source, target, false);
}
static at::Scalar scalar_of(const Tensor& self) {
  count_copy_to_host("aten::item");
  return at::native::_local_scalar_dense_cpu(as_cpu(self));
}
static Tensor& set_tensor(Tensor& self, const Tensor& source) { return at::native::set_tensor_(self, source); }
static Tensor& set_storage(Tensor& self, at::Storage source) { return at::native::set_(self, source); }
static Tensor& set_strided(Tensor& self, at::Storage source, int64_t offset, Sizes size, Sizes stride) {
  return at::cpu::set_(self, source, offset, size, stride);
}

#include "every_operator.h"

// ---- Registration

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", as_strided);
  m.impl("view", view);
  m.impl("unfold", unfold);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("resize_", resize_);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", scalar_of);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl("set_.source_Storage", set_storage);
  m.impl("set_.source_Storage_storage_offset", set_strided);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>()); }

// Autocast as on CUDA: torch keeps the lists of operators by the type that each runs in.
#define OF_TYPE(TYPE, ...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, TYPE)
#define IN_HALF(...) OF_TYPE(lower_precision_fp, __VA_ARGS__)
#define IN_FLOAT(...) OF_TYPE(fp32, __VA_ARGS__)
#define TO_FLOAT(...) OF_TYPE(fp32_set_opt_dtype, __VA_ARGS__)
#define IN_WIDEST(...) OF_TYPE(promote, __VA_ARGS__)
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
  AT_FORALL_LOWER_PRECISION_FP(IN_HALF)
  AT_FORALL_FP32(IN_FLOAT)
  AT_FORALL_FP32_SET_OPT_DTYPE(TO_FLOAT)
  AT_FORALL_PROMOTE(IN_WIDEST)
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  m.def("counts", [] {
    py::dict found;
    found["launches"] = launches.load();
    found["to_device"] = to_device.load();
    found["to_host"] = to_host.load();
    found["refusals"] = refusals.load();
    found["held_bytes"] = held_bytes.load();
    found["peak_bytes"] = peak_bytes.load();
    return found;
  });
  m.def("reset_peak", [] { peak_bytes = held_bytes.load(); });
  m.def("only_list", [](bool on) { only_lists = on; });
  m.def("observe", [](py::object function, bool with_launches) {
    delete observer;
    observer = function.is_none() ? nullptr : new py::object(function);
    reports_launches = with_launches;
  });
}
