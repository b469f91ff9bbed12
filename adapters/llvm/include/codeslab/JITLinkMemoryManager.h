//===- codeslab/JITLinkMemoryManager.h - LLVM's JITLink on codeslab's memory -===//
//
// A JITLinkMemoryManager for LLVM 19 and later that places what JITLink links by codeslab: packed, near what it refers to, and freed and
// used again. Needs codeslab.h and the library behind it (pkg-config: codeslab), and nothing but LLVM's headers. It may be compiled with or
// without RTTI and exceptions.
//
//   auto Control = codeslab::createExecutorProcessControl();
//   auto JIT = LLJITBuilder().setExecutorProcessControl(std::move(*Control)).create();
//
// All that LLJIT adds to a link (unwind tables, debuggers, initializers) stays as it is, because only the memory manager of the process is
// another one. Where the object layer is made by hand, create() gives the memory manager for it.
//
//===--------------------------------------------------------------------------===//

#ifndef CODESLAB_JITLINKMEMORYMANAGER_H
#define CODESLAB_JITLINKMEMORYMANAGER_H

#include <codeslab.h>

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/JITLink/x86_64.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/TaskDispatch.h>
#if __has_include(<llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>)
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#endif
#include <llvm/Support/Error.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#if LLVM_VERSION_MAJOR < 19
#error "codeslab/JITLinkMemoryManager.h needs LLVM 19 or later"
#endif

namespace codeslab {

/// What codeslab could not do, and why.
class MemoryError : public llvm::ErrorInfo<MemoryError> {
public:
  inline static char ID = 0;

  MemoryError(codeslab_status Status, std::string Code, std::string Text)
      : Status(Status), Code(std::move(Code)), Text(std::move(Text)) {}

  /// The error of a function that just failed in this thread.
  static llvm::Error last(codeslab_status Status) {
    codeslab_error Last;
    if (codeslab_last_error(&Last) != CODESLAB_OK || Last.status != Status)
      return llvm::make_error<MemoryError>(Status, "UNKNOWN", "codeslab failed");
    return llvm::make_error<MemoryError>(Status, Last.code, Last.text);
  }

  /// One of the numbers of codeslab.h, such as CODESLAB_OUT_OF_REACH.
  codeslab_status status() const { return Status; }
  /// Its name, such as OUT_OF_REACH.
  const std::string &code() const { return Code; }

  void log(llvm::raw_ostream &OS) const override { OS << "codeslab: " << Text << " (" << Code << ")"; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  codeslab_status Status;
  std::string Code, Text;
};

/// The defaults of codeslab, but that code in flight is written in its place, as LLVM's own memory managers write it.
inline codeslab_options inPlaceOptions() {
  codeslab_options Chosen = codeslab_default_options();
  Chosen.flags |= CODESLAB_NOT_HARDENED;
  return Chosen;
}

/// What a memory manager is made with.
struct Options {
  /// What the memory is opened with. With codeslab_default_options() it is hardened: what JITLink writes is written elsewhere and copied when
  /// it is final, and no address exists at which constants could be changed. That takes another copy, and a call of the system for the
  /// constants of each graph.
  codeslab_options Memory = inPlaceOptions();

  /// Whether a graph is placed where its short references arrive: near symbols of the process that it refers to by a displacement of 32
  /// bits (`stderr`, for example, in code that is not made for shared libraries), and below 2 GiB if it has addresses of 32 bits. Where that
  /// is not possible, it is placed as if it was not asked for, and JITLink says what does not fit.
  bool WithinReferences = true;

  /// Whether everything of one JITDylib is within reach of everything else of it, for code that refers to other objects without GOT and
  /// stubs. What finds no place there is an error then; otherwise it goes anywhere, in reach of itself.
  bool Domains = false;
};

/// JITLink's memory, from codeslab. It may be used from any thread. Allocations may outlive it.
class JITLinkMemoryManager final : public llvm::jitlink::JITLinkMemoryManager {
public:
  static llvm::Expected<std::unique_ptr<JITLinkMemoryManager>> create(Options Chosen = Options()) {
    codeslab_memory Memory;
    if (codeslab_status Status = codeslab_open(&Chosen.Memory, &Memory))
      return MemoryError::last(Status);
    codeslab_configuration Configuration;
    if (codeslab_status Status = codeslab_get_configuration(Memory, &Configuration)) {
      llvm::Error Why = MemoryError::last(Status);
      codeslab_close(Memory);
      return Why;
    }
    return std::unique_ptr<JITLinkMemoryManager>(
        new JITLinkMemoryManager(Memory, Configuration.reach, std::move(Chosen)));
  }

  ~JITLinkMemoryManager() override { codeslab_close(Memory); }

  JITLinkMemoryManager(const JITLinkMemoryManager &) = delete;
  JITLinkMemoryManager &operator=(const JITLinkMemoryManager &) = delete;

  using llvm::jitlink::JITLinkMemoryManager::allocate;
  using llvm::jitlink::JITLinkMemoryManager::deallocate;

  void allocate(const llvm::jitlink::JITLinkDylib *JD, llvm::jitlink::LinkGraph &G,
                OnAllocatedFunction OnAllocated) override {
    llvm::Expected<std::unique_ptr<InFlight>> Placed = place(JD, G);
    if (!Placed)
      return OnAllocated(Placed.takeError());
    OnAllocated(std::move(*Placed));
  }

  void deallocate(std::vector<FinalizedAlloc> Allocs, OnDeallocatedFunction OnDeallocated) override {
    llvm::Error Failed = llvm::Error::success();
    std::vector<codeslab_allocation> Memories;
    Memories.reserve(Allocs.size());
    // What was finalized last goes first: its actions may need what was there before.
    while (!Allocs.empty()) {
      uint64_t Value = Allocs.back().release().getValue();
      Allocs.pop_back();
      if (Value & IsHandle) {
        Memories.push_back({Value & ~IsHandle});
        continue;
      }
      std::unique_ptr<Finalized> One(llvm::orc::ExecutorAddr(Value).toPtr<Finalized *>());
      if (!One->Actions.empty())
        Failed = llvm::joinErrors(std::move(Failed), llvm::orc::shared::runDeallocActions(One->Actions));
      if (One->HasMemory)
        Memories.push_back(One->Memory);
    }
    if (codeslab_status Status = codeslab_free_many(Memories.data(), Memories.size()))
      Failed = llvm::joinErrors(std::move(Failed), MemoryError::last(Status));
    OnDeallocated(std::move(Failed));
  }

  /// The memory, for all that codeslab.h can do with it: count, find, draw, trim.
  codeslab_memory memory() const { return Memory; }

  /// Forgets where a JITDylib was (`Options::Domains`): for those that are removed.
  void forget(const llvm::jitlink::JITLinkDylib *JD) {
    std::lock_guard<std::mutex> Lock(DomainsMutex);
    DomainOf.erase(JD);
  }

private:
  using Graph = llvm::jitlink::LinkGraph;

  /// In a FinalizedAlloc that is a handle and no pointer: most allocations have nothing to do at their end. No pointer has this bit, and
  /// handles have it after two thousand million uses of one slot.
  static constexpr uint64_t IsHandle = uint64_t(1) << 63;

  /// What another FinalizedAlloc points to.
  struct Finalized {
    codeslab_allocation Memory;
    bool HasMemory;
    std::vector<llvm::orc::shared::WrapperFunctionCall> Actions;
  };

  class InFlight final : public InFlightAlloc {
  public:
    InFlight(Graph &G, codeslab_in_flight Memory, bool HasMemory, bool HasTemporary)
        : G(G), Memory(Memory), HasMemory(HasMemory), HasTemporary(HasTemporary) {}

    ~InFlight() override {
      if (HasMemory)
        codeslab_abandon(Memory);
    }

    void abandon(OnAbandonedFunction OnAbandoned) override {
      codeslab_status Status = std::exchange(HasMemory, false) ? codeslab_abandon(Memory) : CODESLAB_OK;
      OnAbandoned(Status ? MemoryError::last(Status) : llvm::Error::success());
    }

    void finalize(OnFinalizedFunction OnFinalized) override {
      codeslab_allocation Done{};
      bool HadMemory = std::exchange(HasMemory, false);
      if (HadMemory)
        if (codeslab_status Status = codeslab_finalize(Memory, &Done))
          return OnFinalized(MemoryError::last(Status));
      // Where one fails, LLVM has run those that undo what was done before it, the last one first.
      auto Actions = llvm::orc::shared::runFinalizeActions(G.allocActions());
      if (!Actions) {
        if (HadMemory)
          codeslab_free(Done);
        return OnFinalized(Actions.takeError());
      }
      if (HadMemory && HasTemporary)
        codeslab_end_finalization(Done);
      if (HadMemory && Actions->empty() && !(Done.value & IsHandle))
        return OnFinalized(FinalizedAlloc(llvm::orc::ExecutorAddr(Done.value | IsHandle)));
      auto *Record = new Finalized{Done, HadMemory, std::move(*Actions)};
      OnFinalized(FinalizedAlloc(llvm::orc::ExecutorAddr::fromPtr(Record)));
    }

  private:
    Graph &G;
    codeslab_in_flight Memory;
    bool HasMemory;
    bool HasTemporary;
  };

  JITLinkMemoryManager(codeslab_memory Memory, uint64_t Reach, Options Chosen)
      : Memory(Memory), Reach(Reach), Chosen(std::move(Chosen)) {}

  llvm::Expected<std::unique_ptr<InFlight>> place(const llvm::jitlink::JITLinkDylib *JD, Graph &G) {
    llvm::jitlink::BasicLayout Layout(G);
    llvm::SmallVector<codeslab_section, 6> Sections;
    uint64_t Size = 0;
    bool HasTemporary = false;
    for (auto &KV : Layout.segments()) {
      codeslab_section Section;
      if (llvm::Error Refused = describe(KV.first, KV.second, Section))
        return Refused;
      Size += Section.size;
      HasTemporary |= Section.lifetime == CODESLAB_LIFETIME_FINALIZE;
      Sections.push_back(Section);
    }
    codeslab_in_flight Placed{};
    if (Size > 0)
      if (llvm::Error Refused = allocateNear(JD, G, Sections, Placed))
        return Refused;
    auto Result = std::make_unique<InFlight>(G, Placed, Size > 0, HasTemporary);
    auto Section = Sections.begin();
    for (auto &KV : Layout.segments()) {
      assign(KV.second, *Section++);
    }
    if (llvm::Error Refused = Layout.apply())
      return Refused;
    return Result;
  }

  static llvm::Error describe(llvm::orc::AllocGroup Group, const llvm::jitlink::BasicLayout::Segment &Segment,
                              codeslab_section &Section) {
    using llvm::orc::MemProt;
    std::memset(&Section, 0, sizeof Section);
    auto Bits = static_cast<unsigned>(Group.getMemProt());
    bool Executes = Bits & static_cast<unsigned>(MemProt::Exec);
    bool Writes = Bits & static_cast<unsigned>(MemProt::Write);
    if (Executes && Writes)
      return llvm::make_error<MemoryError>(CODESLAB_WRITABLE_CODE, "WRITABLE_CODE",
                                           "a section would be writable and executable");
    Section.protection = Executes ? CODESLAB_READ_EXECUTE : Writes ? CODESLAB_READ_WRITE : CODESLAB_READ_ONLY;
    Section.lifetime = Group.getMemLifetime() == llvm::orc::MemLifetime::Finalize ? CODESLAB_LIFETIME_FINALIZE
                                                                                    : CODESLAB_LIFETIME_STANDARD;
    Section.size = Segment.ContentSize + Segment.ZeroFillSize;
    Section.align = Segment.Alignment.value();
    return llvm::Error::success();
  }

  /// Tells a segment where it is.
  static void assign(llvm::jitlink::BasicLayout::Segment &Segment, const codeslab_section &Section) {
    static char Nothing[1];
    Segment.Addr = llvm::orc::ExecutorAddr(Section.address);
    Segment.WorkingMem = Section.size ? static_cast<char *>(Section.bytes) : Nothing;
    // Data is zero already, and costs nothing until it is touched.
    if (Segment.ZeroFillSize && Section.protection != CODESLAB_READ_WRITE)
      std::memset(Segment.WorkingMem + Segment.ContentSize, 0, Segment.ZeroFillSize);
  }

  llvm::Error allocateNear(const llvm::jitlink::JITLinkDylib *JD, Graph &G,
                           llvm::MutableArrayRef<codeslab_section> Sections, codeslab_in_flight &Placed) {
    Windows Found;
    if (Chosen.WithinReferences)
      Found = windowsOf(G);
    if (!Chosen.Domains)
      return allocateIn(Sections, Found, 0, Placed);
    std::unique_lock<std::mutex> Lock(DomainsMutex);
    auto Known = DomainOf.find(JD);
    if (Known != DomainOf.end()) {
      codeslab_window Domain = Known->second;
      Lock.unlock();
      Found.insert(Found.begin(), Domain);
      return allocateIn(Sections, Found, 1, Placed);
    }
    // The first of a JITDylib decides where the others are; under the lock, because there is one first.
    if (llvm::Error Refused = allocateIn(Sections, Found, 0, Placed))
      return Refused;
    codeslab_window Block;
    if (codeslab_block(Placed, &Block) == CODESLAB_OK) {
      // Two addresses at its ends are in reach of each other.
      uint64_t Half = Reach == UINT64_MAX ? UINT64_MAX : Reach / 2 - (Block.last - Block.first) / 2;
      uint64_t First = Block.first > Half ? Block.first - Half : 0;
      uint64_t Last = Block.last < UINT64_MAX - Half ? Block.last + Half : UINT64_MAX;
      DomainOf[JD] = {First, Last};
    }
    return llvm::Error::success();
  }

  /// Places sections in all windows, or if that is not possible in the first `Needed` of them.
  llvm::Error allocateIn(llvm::MutableArrayRef<codeslab_section> Sections, llvm::ArrayRef<codeslab_window> Windows,
                         size_t Needed, codeslab_in_flight &Placed) {
    codeslab_status Status =
        codeslab_allocate(Memory, Sections.data(), Sections.size(), Windows.data(), Windows.size(), &Placed);
    bool IsPlace = Status == CODESLAB_OUT_OF_REACH || Status == CODESLAB_CONFLICTING_WINDOWS;
    if (IsPlace && Windows.size() > Needed)
      Status = codeslab_allocate(Memory, Sections.data(), Sections.size(), Windows.data(), Needed, &Placed);
    return Status ? MemoryError::last(Status) : llvm::Error::success();
  }

  using Windows = llvm::SmallVector<codeslab_window, 4>;

  /// Where the short references of a graph arrive.
  Windows windowsOf(Graph &G) const {
    Windows Found;
    if (G.getTargetTriple().getArch() != llvm::Triple::x86_64)
      return Found;
    bool IsLow = false;
    llvm::DenseSet<const llvm::jitlink::Symbol *> Seen;
    // By section: an iterator of all blocks of a graph looks for the next section at each.
    for (llvm::jitlink::Section &S : G.sections())
      for (const llvm::jitlink::Block *B : S.blocks())
        for (const llvm::jitlink::Edge &E : B->edges()) {
          const llvm::jitlink::Symbol &Target = E.getTarget();
          bool IsAbsolute = E.getKind() == llvm::jitlink::x86_64::Pointer32 ||
                            E.getKind() == llvm::jitlink::x86_64::Pointer32Signed;
          if (IsAbsolute && Target.isDefined() && !std::exchange(IsLow, true))
            Found.push_back({0, INT32_MAX});
          if (Target.isExternal() && Target.hasName() && isShort(E.getKind()) && Seen.insert(&Target).second)
            addWindow(Target, Found);
        }
    return Found;
  }

  /// Where a symbol of the process is in reach, if it is one.
  void addWindow(const llvm::jitlink::Symbol &Target, Windows &Found) const {
    uint64_t Address;
    if (codeslab_process_symbol(nameOf(Target).c_str(), &Address) != CODESLAB_OK)
      return;
    uint64_t Far = Reach < UINT32_MAX ? Reach : INT32_MAX;
    Found.push_back({Address > Far ? Address - Far : 0, Address < UINT64_MAX - Far ? Address + Far : UINT64_MAX});
  }

  static std::string nameOf(const llvm::jitlink::Symbol &S) {
#if LLVM_VERSION_MAJOR >= 20
    return (*S.getName()).str();
#else
    return S.getName().str();
#endif
  }

  /// Whether a reference of this kind spans ±2 GiB. Those for which a stub or a GOT entry stands lead to symbols of the graph by now.
  static bool isShort(llvm::jitlink::Edge::Kind Kind) {
    using namespace llvm::jitlink;
    return Kind == x86_64::Delta32 || Kind == x86_64::NegDelta32 || Kind == x86_64::BranchPCRel32;
  }

  codeslab_memory Memory;
  uint64_t Reach;
  Options Chosen;
  std::mutex DomainsMutex;
  std::map<const llvm::jitlink::JITLinkDylib *, codeslab_window> DomainOf;
};

/// A controller of this process whose memory manager is codeslab's, for LLJITBuilder::setExecutorProcessControl and for
/// ExecutionSession: it leaves everything else as LLVM has it. LLJITBuilder's setNumCompileThreads makes a controller of its own and is not
/// for this one: who compiles in threads says by which, for example by a DynamicThreadPoolTaskDispatcher.
inline llvm::Expected<std::unique_ptr<llvm::orc::ExecutorProcessControl>>
createExecutorProcessControl(Options Chosen = Options(), std::unique_ptr<llvm::orc::TaskDispatcher> Dispatcher = nullptr) {
  auto Manager = JITLinkMemoryManager::create(std::move(Chosen));
  if (!Manager)
    return Manager.takeError();
  auto Control = llvm::orc::SelfExecutorProcessControl::Create(nullptr, std::move(Dispatcher), std::move(*Manager));
  if (!Control)
    return Control.takeError();
  return std::unique_ptr<llvm::orc::ExecutorProcessControl>(std::move(*Control));
}

} // namespace codeslab

#endif
